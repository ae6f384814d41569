"""Who belongs to an account: invitations, roles, leaving. The only writer of Membership and Invitation.

Each change leaves an AccountEvent that says who made it.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import get_language

from accounts import history, tokens
from accounts.models import Account, AccountEvent, Invitation, Membership, Role, User
from accounts.queue import ring

Kind = AccountEvent.Kind
_SLUG_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


class MembersError(Exception):
    """What was asked cannot be; ``code`` says why (``LAST_OWNER`` …), the page has the words."""

    LAST_OWNER = "last_owner"
    ALREADY = "already_member"
    GONE = "gone"
    WRONG_ADDRESS = "wrong_address"
    # A user with this address was made meanwhile.
    KNOWN = "known_address"

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# --- Accounts and users ---


def open_account(email: str, password: str, *, name: str) -> Membership:
    """A new user with a new account of which they are the owner. Raises MembersError (KNOWN)."""
    with transaction.atomic():
        user = _new_user(email, password)
        return _new_account(user, name)


def open_further_account(user: User, *, name: str) -> Membership:
    """The same for who is known here already: as a member of others' accounts, or of none."""
    with transaction.atomic():
        return _new_account(user, name)


def _new_account(user: User, name: str) -> Membership:
    account = Account.objects.create(name=name, slug=_new_slug(name))
    membership = Membership.objects.create(user=user, account=account, role=Role.OWNER)
    history.note(account, Kind.ACCOUNT_MADE, by=user, about=name)
    return membership


def _new_user(email: str, password: str) -> User:
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password)
    except IntegrityError as problem:
        raise MembersError(MembersError.KNOWN) from problem


def _new_slug(name: str) -> str:
    """Never the bare name: whether it is taken would tell who else has an account here."""
    ending = "".join(secrets.choice(_SLUG_ALPHABET) for _ in range(6))
    return f"{slugify(name)[:40].strip('-_') or 'account'}-{ending}"


# --- Invitations ---


def invite(account: Account, *, email: str, role: Role, by: User | None) -> Invitation:
    """Offer a place, and have it mailed. An earlier offer to the same address is taken back.

    Raises MembersError for who is a member already.
    """
    email = email.strip().lower()
    now = timezone.now()
    with transaction.atomic():
        # Locked: of two who invite the same person at once, the later offer takes the earlier one back.
        Account.objects.select_for_update().get(pk=account.pk)
        if Membership.objects.filter(account=account, user__email=email).exists():
            raise MembersError(MembersError.ALREADY)
        _open(now).filter(account=account, email=email).update(revoked_at=now)
        invitation = Invitation.objects.create(
            account=account,
            email=email,
            role=role,
            # Of a token that nobody has: the one that works is made for the mail.
            token_hash=_hash(secrets.token_urlsafe(32)),
            invited_by=by,
            expires_at=now + timedelta(days=settings.INVITATION_DAYS),
        )
        history.note(account, Kind.INVITED, by=by, about=email, role=role)
        _mail(invitation)
    return invitation


def invite_again(invitation: Invitation, *, by: User | None) -> None:
    """Mail the offer anew, its days counted from now. Raises MembersError (GONE) for one that is no longer open."""
    now = timezone.now()
    expires_at = now + timedelta(days=settings.INVITATION_DAYS)
    with transaction.atomic():
        still_open = _unused().filter(pk=invitation.pk)
        if not still_open.update(expires_at=expires_at, created_at=now, mailed_at=None):
            raise MembersError(MembersError.GONE)
        history.note(invitation.account, Kind.INVITED_AGAIN, by=by, about=invitation.email, role=invitation.role)
        _mail(invitation)


def _mail(invitation: Invitation) -> None:
    ring("mail_invitation", invitation_pk=invitation.pk, language=get_language() or settings.LANGUAGE_CODE)


def new_token(invitation: Invitation) -> str | None:
    """A fresh token for the mail: the one before opens nothing any more. None when the offer is no longer open."""
    token = secrets.token_urlsafe(32)
    made = _open(timezone.now()).filter(pk=invitation.pk).update(token_hash=_hash(token))
    return token if made else None


def invitation_for(token: str) -> Invitation | None:
    """The offer that the token opens; None when used, taken back, too old, or never made."""
    return _open(timezone.now()).filter(token_hash=_hash(token)).first()


def open_invitation(token_hash: str) -> Invitation | None:
    """The offer whose present link has this hash, with its account, while it is open."""
    found = _open(timezone.now()).select_related("account", "invited_by")
    return found.filter(token_hash=token_hash).first()


def pending_invitations(account: Account) -> list[Invitation]:
    """Offers neither accepted nor taken back, newest first; those that are too old can be sent again."""
    return list(_unused().filter(account=account).select_related("invited_by"))


def accept(invitation: Invitation, *, user: User) -> Membership:
    """Take the place, once. Raises MembersError: GONE, or WRONG_ADDRESS for another person's offer."""
    if user.email != invitation.email:
        raise MembersError(MembersError.WRONG_ADDRESS)
    now = timezone.now()
    with transaction.atomic():
        if not _open(now).filter(pk=invitation.pk).update(accepted_at=now):
            raise MembersError(MembersError.GONE)
        # A member already: the offer changes nothing.
        membership, is_new = Membership.objects.get_or_create(
            user=user, account=invitation.account, defaults={"role": invitation.role}
        )
        if is_new:
            history.note(invitation.account, Kind.JOINED, by=user, about=user.email, role=invitation.role)
    return membership


def accept_as_new_user(invitation: Invitation, password: str) -> Membership:
    """Make the invited user and take the place. Raises MembersError: KNOWN, GONE."""
    with transaction.atomic():
        return accept(invitation, user=_new_user(invitation.email, password))


def revoke(invitation: Invitation, *, by: User | None, reason: str = "") -> bool:
    """Take an offer back; whether it was still there to take back."""
    with transaction.atomic():
        done = bool(_unused().filter(pk=invitation.pk).update(revoked_at=timezone.now()))
        if done:
            kind = Kind.INVITATION_TAKEN_BACK
            history.note(invitation.account, kind, by=by, about=invitation.email, reason=reason)
    return done


# --- Roles and leaving ---


def add(account: Account, user: User, role: Role, *, by: User | None, reason: str = "") -> Membership:
    """Make somebody a member without asking them: for the site's administrators. Raises MembersError (ALREADY)."""
    with transaction.atomic():
        membership, is_new = Membership.objects.get_or_create(user=user, account=account, defaults={"role": role})
        if not is_new:
            raise MembersError(MembersError.ALREADY)
        history.note(account, Kind.JOINED, by=by, about=user.email, role=role, reason=reason)
    return membership


def change_role(membership: Membership, role: Role, *, by: User | None, reason: str = "") -> None:
    """Raises MembersError where the account would have no owner left, or the member has gone."""
    with transaction.atomic():
        current = _locked(membership)
        if role != Role.OWNER:
            _require_another_owner(current)
        if current.role == role:
            return
        Membership.objects.filter(pk=membership.pk).update(role=role)
        about = {"about": current.user.email, "role": role, "role_before": current.role}
        history.note(current.account, Kind.ROLE_CHANGED, by=by, reason=reason, **about)


def remove(membership: Membership, *, by: User | None, reason: str = "") -> None:
    """The member leaves, or is removed; their tokens, and an offer still open to them, with them. What they made stays.

    Raises MembersError: LAST_OWNER, GONE.
    """
    with transaction.atomic():
        current = _locked(membership)
        _require_another_owner(current)
        # Written down first: whoever leaves does so as a member.
        tokens.revoke_all(current.account, of=current.user, by=by, reason=reason)
        kind = Kind.LEFT if by is not None and by.pk == current.user_id else Kind.REMOVED
        history.note(current.account, kind, by=by, about=current.user.email, role=current.role, reason=reason)
        Membership.objects.filter(pk=membership.pk).delete()
        # From before they were let in otherwise: by it they could let themselves in again.
        for offer in _unused().filter(account=current.account, email=current.user.email).select_related("account"):
            revoke(offer, by=by, reason=reason)
        User.objects.filter(pk=current.user_id, last_account=current.account_id).update(last_account=None)


def _locked(membership: Membership) -> Membership:
    """As it is now, the account's row locked, so that two owners cannot leave past each other."""
    Account.objects.select_for_update().get(pk=membership.account_id)
    current = Membership.objects.select_related("account", "user").filter(pk=membership.pk).first()
    if current is None:
        raise MembersError(MembersError.GONE)
    return current


def _require_another_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(account=membership.account_id, role=Role.OWNER, user__is_active=True)
    if owners.filter(pk=membership.pk).exists() and not owners.exclude(pk=membership.pk).exists():
        raise MembersError(MembersError.LAST_OWNER)


def _unused() -> QuerySet[Invitation]:
    return Invitation.objects.filter(accepted_at=None, revoked_at=None)


def _open(now: datetime) -> QuerySet[Invitation]:
    return _unused().filter(expires_at__gt=now)


def _hash(token: str) -> str:
    """The token is random enough that a plain hash gives nothing away."""
    return hashlib.sha256(token.encode()).hexdigest()
