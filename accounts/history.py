"""Who did what in an account: the only writer of AccountEvent."""

from accounts.models import Account, AccountEvent, User

SHOWN = 30


def note(
    account: Account,
    kind: AccountEvent.Kind,
    *,
    by: User | None,
    about: str = "",
    role: str = "",
    role_before: str = "",
) -> None:
    """Write it down, in the transaction of what was done. ``by`` is None for what nobody on a page did."""
    AccountEvent.objects.create(
        account=account,
        kind=kind,
        by=by,
        by_email=by.email if by else "",
        about=about,
        role=role,
        role_before=role_before,
    )


def latest(account: Account) -> list[AccountEvent]:
    """The last few, newest first."""
    return list(AccountEvent.objects.filter(account=account).order_by("-pk")[:SHOWN])
