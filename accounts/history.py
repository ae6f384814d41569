"""Who did what in an account: the only writer of AccountEvent."""

from accounts.models import Account, AccountEvent, Membership, User

SHOWN = 30
_LONGEST_ABOUT, _LONGEST_REASON = 254, 300


def note(
    account: Account,
    kind: AccountEvent.Kind,
    *,
    by: User | None,
    about: str = "",
    role: str = "",
    role_before: str = "",
    reason: str = "",
) -> None:
    """Write it down, in the transaction of what was done. ``by`` is None for what nobody on a page did.

    Staff who are no members act for the site: owners read "the site's administrators", the row says who it was.
    """
    by_staff = by is not None and by.is_staff and not Membership.objects.filter(user=by, account=account).exists()
    AccountEvent.objects.create(
        account=account,
        kind=kind,
        by=by,
        by_email=by.email if by and not by_staff else "",
        by_staff=by_staff,
        about=about[:_LONGEST_ABOUT],
        role=role,
        role_before=role_before,
        reason=reason[:_LONGEST_REASON],
    )


def latest(account: Account) -> list[AccountEvent]:
    """The last few, newest first."""
    return list(AccountEvent.objects.filter(account=account).order_by("-pk")[:SHOWN])
