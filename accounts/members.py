"""Who belongs to an account: invitations, roles, leaving. The only writer of Membership and Invitation."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Account, Invitation, Membership, Role, User


class MembersError(Exception):
    """What was asked cannot be; ``code`` says why (``LAST_OWNER`` …), the page has the words."""

    LAST_OWNER = "last_owner"
    ALREADY = "already_member"
    GONE = "gone"
    WRONG_ADDRESS = "wrong_address"

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def invite(account: Account, *, email: str, role: Role, by: User | None) -> tuple[Invitation, str]:
    """Offer a place; the row, and the token that goes into the mail and nowhere else.

    An earlier offer to the same address is taken back. Raises MembersError for who is a member already.
    """
    email = email.strip().lower()
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        if Membership.objects.filter(account=account, user__email=email).exists():
            raise MembersError(MembersError.ALREADY)
        _open(now).filter(account=account, email=email).update(revoked_at=now)
        invitation = Invitation.objects.create(
            account=account,
            email=email,
            role=role,
            token_hash=_hash(token),
            invited_by=by,
            expires_at=now + timedelta(days=settings.INVITATION_DAYS),
        )
    return invitation, token


def invitation_for(token: str) -> Invitation | None:
    """The offer that the token opens; None when used, taken back, too old, or never made."""
    return _open(timezone.now()).select_related("account", "invited_by").filter(token_hash=_hash(token)).first()


def open_invitations(account: Account) -> list[Invitation]:
    """Offers not yet accepted, newest first."""
    return list(_open(timezone.now()).filter(account=account).select_related("invited_by"))


def accept(invitation: Invitation, *, user: User) -> Membership:
    """Take the place, once. Raises MembersError: GONE, or WRONG_ADDRESS for another person's offer."""
    if user.email != invitation.email:
        raise MembersError(MembersError.WRONG_ADDRESS)
    now = timezone.now()
    try:
        with transaction.atomic():
            if not _open(now).filter(pk=invitation.pk).update(accepted_at=now):
                raise MembersError(MembersError.GONE)
            return Membership.objects.create(user=user, account=invitation.account, role=invitation.role)
    except IntegrityError:
        # A member already: the offer changes nothing.
        return Membership.objects.get(user=user, account=invitation.account)


def revoke(invitation: Invitation) -> bool:
    """Take an offer back; whether it was still open."""
    return bool(_open(timezone.now()).filter(pk=invitation.pk).update(revoked_at=timezone.now()))


def change_role(membership: Membership, role: Role) -> None:
    """Raises MembersError where the account would have no owner left."""
    with transaction.atomic():
        if role != Role.OWNER:
            _require_another_owner(membership)
        Membership.objects.filter(pk=membership.pk).update(role=role)


def remove(membership: Membership) -> None:
    """The member leaves, or is removed. What they made stays the account's. Raises MembersError: LAST_OWNER."""
    with transaction.atomic():
        _require_another_owner(membership)
        Membership.objects.filter(pk=membership.pk).delete()


def _require_another_owner(membership: Membership) -> None:
    """The account's row is locked, so that two owners cannot leave past each other."""
    Account.objects.select_for_update().get(pk=membership.account_id)
    owners = Membership.objects.filter(account=membership.account_id, role=Role.OWNER, user__is_active=True)
    if owners.filter(pk=membership.pk).exists() and not owners.exclude(pk=membership.pk).exists():
        raise MembersError(MembersError.LAST_OWNER)


def _open(now: datetime) -> QuerySet[Invitation]:
    return Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)


def _hash(token: str) -> str:
    """The token is random enough that a plain hash gives nothing away."""
    return hashlib.sha256(token.encode()).hexdigest()
