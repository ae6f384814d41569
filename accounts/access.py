"""Which account is meant, and may they: the only way from a short name in an address to an account.

A stranger gets 404, as if it were not there. A member who may not gets 403 with the reason, and who can.
"""

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from accounts import history
from accounts.models import Account, Membership, Role, User
from accounts.permissions import WHILE_SUSPENDED, Permission, allowed, may

# Owners who are named in a refusal.
_NAMED = 3


class NotAllowedError(PermissionDenied):
    """A member may not do this. ``text`` says why, and who can; ``code`` is ``suspended`` or ``role``."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def account_for(request: HttpRequest, slug: str, permission: Permission) -> Account:
    """The account, for a member who may; Http404 for strangers, NotAllowedError for other members.

    Pages that are rendered for the request know from then on what the member may (``may.make`` …).
    """
    membership = membership_for(request.user, slug)
    request.membership = membership  # type: ignore[attr-defined]  # read by what_one_may
    require(membership, permission)
    return membership.account


def membership_for(user: User | AnonymousUser, slug: str) -> Membership:
    """The user's place in the account, with the account; Http404 where there is none."""
    memberships = Membership.objects.select_related("account").filter(account__slug=slug, user=user.pk)
    membership = memberships.first() if user.pk else None
    if membership is None:
        raise Http404
    return membership


def require(membership: Membership, permission: Permission) -> None:
    """Raises NotAllowedError where the member may not."""
    if may(membership, permission):
        return
    account = membership.account
    if account.status == Account.Status.SUSPENDED and permission not in WHILE_SUSPENDED:
        raise NotAllowedError("suspended", suspended_text(account))
    raise NotAllowedError("role", _role_text(membership, permission))


def what_one_may(request: HttpRequest) -> dict[str, bool]:
    """Permissions by name, for pages; empty where the page is of no account."""
    membership: Membership | None = getattr(request, "membership", None)
    return {} if membership is None else {permission.value: True for permission in allowed(membership)}


def suspended_because(request: HttpRequest) -> str:
    """The administrators' reason, for who reads the account's history; empty for others and where nothing is said."""
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None or not may(membership, Permission.HISTORY):
        return ""
    return history.reason_of_suspension(membership.account)


def remember(user: User, account: Account) -> None:
    """The door leads here next time. Written only when it is another one."""
    if user.last_account_id != account.pk:
        User.objects.filter(pk=user.pk).update(last_account=account)
        user.last_account = account


def suspended_text(account: Account) -> str:
    """What a suspended account means for its members."""
    return _(
        "%(account)s is suspended: its members can look, play and copy, but change nothing. Whoever runs this site can "
        "say why, and end it."
    ) % {"account": account.name}


def _role_text(membership: Membership, permission: Permission) -> str:
    owners = Membership.objects.filter(account=membership.account_id, role=Role.OWNER, user__is_active=True)
    who = ", ".join(owners.order_by("pk").values_list("user__email", flat=True)[:_NAMED])
    words = {"role": membership.get_role_display(), "account": membership.account.name, "owners": who}
    texts = {
        Permission.MAKE: _(
            "Your role in %(account)s (%(role)s) lets you look, play and copy, but not upload or make templates. An "
            "owner can give you another role: %(owners)s."
        ),
        Permission.CHANGE: _(
            "Your role in %(account)s (%(role)s) lets you look, play and copy, but not rename, cancel, delete or "
            "restore. An owner can give you another role: %(owners)s."
        ),
        Permission.MANAGE: _(
            "Your role in %(account)s is %(role)s, and only owners manage its members and keys. Ask one: %(owners)s."
        ),
        Permission.REVOKE: _(
            "Your role in %(account)s is %(role)s, and only owners manage its members and keys. Ask one: %(owners)s."
        ),
        Permission.USAGE: _(
            "Your role in %(account)s is %(role)s, and only owners see what it has used. Ask one: %(owners)s."
        ),
    }
    otherwise = _("Your role in %(account)s (%(role)s) does not allow this. Ask an owner: %(owners)s.")
    return texts.get(permission, otherwise) % words
