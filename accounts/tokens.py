"""Keys to the JSON API. The only writer of ApiToken.

A token can do what its owner can do in that account now: who has left, or was switched off, has none.
"""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import history
from accounts.models import Account, AccountEvent, ApiToken, Membership, User

Kind = AccountEvent.Kind
# By which leaked ones are recognised, by people and by scanners.
MARK = "tg_"
_SHOWN = 8
_LONGEST = 100
# "Last used" is no log: it is written once in so long.
_USED_EVERY = timedelta(minutes=1)


def make(account: Account, *, user: User, name: str) -> tuple[ApiToken, str]:
    """The row, and the token itself, which is shown once and kept nowhere."""
    secret = MARK + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            account=account, user=user, name=name, prefix=secret[:_SHOWN], token_hash=_hash(secret)
        )
        history.note(account, Kind.TOKEN_MADE, by=user, about=str(token))
    return token, secret


def membership_for(secret: str) -> tuple[ApiToken, Membership] | None:
    """Whose token it is, with their membership and its account; None for one that opens nothing."""
    if not secret.startswith(MARK) or len(secret) > _LONGEST:
        return None
    token = ApiToken.objects.filter(token_hash=_hash(secret), revoked_at=None).first()
    if token is None:
        return None
    memberships = Membership.objects.select_related("account", "user")
    membership = memberships.filter(user=token.user_id, account=token.account_id, user__is_active=True).first()
    if membership is None:
        return None
    _note_use(token)
    return token, membership


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    if token.used_at is None or now - token.used_at >= _USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)


def tokens_of(account: Account) -> list[ApiToken]:
    """Those that open something, newest first."""
    return list(ApiToken.objects.filter(account=account, revoked_at=None).select_related("user").order_by("-pk"))


def revoke(token: ApiToken, *, by: User | None, reason: str = "") -> bool:
    """From now on it opens nothing; whether it did until now."""
    with transaction.atomic():
        done = bool(ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()))
        if done:
            history.note(token.account, Kind.TOKEN_REVOKED, by=by, about=str(token), reason=reason)
    return done


def revoke_all(account: Account, *, by: User | None, of: User | None = None, reason: str = "") -> int:
    """Revoke the account's tokens, or one member's; how many."""
    rows = ApiToken.objects.filter(account=account, revoked_at=None)
    if of is not None:
        rows = rows.filter(user=of)
    return sum(revoke(token, by=by, reason=reason) for token in rows.select_related("account"))


def _hash(secret: str) -> str:
    """The token is random enough that a plain hash gives nothing away."""
    return hashlib.sha256(secret.encode()).hexdigest()
