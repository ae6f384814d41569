"""Who did what in an account, and under which name its members see it: the only writer of AccountEvent.

Staff of the site who are no members act for the site: the rows say who it was, members read "the site's
administrators".
"""

from collections.abc import Callable

from django.utils.translation import gettext as _

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
    """Write it down, in the transaction of what was done. ``by`` is None for what nobody on a page did."""
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


def reason_of_suspension(account: Account) -> str:
    """What the site's administrators gave as their reason; empty where it is not suspended, or nothing was said."""
    if account.status != Account.Status.SUSPENDED:
        return ""
    events = AccountEvent.objects.filter(account=account, kind=AccountEvent.Kind.SUSPENDED)
    return events.order_by("-pk").values_list("reason", flat=True).first() or ""


def names_in(account_id: int) -> Callable[[User | None], str]:
    """How the account's members see who did something: the address, the site's administrators, or nothing."""
    staff = set(
        User.objects.filter(is_staff=True).exclude(memberships__account=account_id).values_list("pk", flat=True)
    )

    def name_of(user: User | None) -> str:
        if user is None:
            return ""
        return _("the site's administrators") if user.pk in staff else user.email

    return name_of
