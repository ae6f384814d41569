"""One-time sign-in links: an address that signs its owner in once, for who has no password yet or has lost it."""

from datetime import datetime
from typing import Any

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from accounts.models import User


class SignInTokens(PasswordResetTokenGenerator):
    """Tokens that die with the next sign-in, of whatever kind, and after PASSWORD_RESET_TIMEOUT seconds."""

    key_salt = "accounts.links.SignInTokens"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        # Django's own value cuts the last sign-in to whole seconds: a link used in the second it was made in would
        # work again.
        last = user.last_login.isoformat() if user.last_login else ""
        return f"{super()._make_hash_value(user, timestamp)}{last}"


tokens = SignInTokens()


def sign_in_path(user: User) -> str:
    """The path of a link that signs ``user`` in once; put settings.SITE_URL before it."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("accounts:sign_in_link", args=[uid, tokens.make_token(user)])


def use_link(uidb64: str, token: str, *, now: datetime | None = None) -> User | None:
    """The user whose link this is, for the first visit; None when it is used, too old, or nobody's.

    Of two visits at the same moment one wins: the last sign-in is written only where it is still what the token was
    checked against.
    """
    user = _user(uidb64)
    if user is None or not tokens.check_token(user, token):
        return None
    same = User.objects.filter(pk=user.pk, is_active=True, last_login=user.last_login)
    return user if same.update(last_login=now or timezone.now()) else None


def _user(uidb64: str) -> User | None:
    try:
        pk = int(urlsafe_base64_decode(uidb64).decode("ascii"))
        return User.objects.filter(pk=pk, is_active=True).first()
    except (ValueError, OverflowError):
        return None
