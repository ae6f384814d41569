"""Signing up where the site is open to everybody: an address is proved by a mailed link, then comes the account."""

from django.conf import settings
from django.core import signing
from django.utils.translation import get_language

from accounts.models import User
from accounts.queue import ring

_SALT = "accounts.sign_up"
LINK_SECONDS = 24 * 3600


def is_open() -> bool:
    """Anybody may sign up; else people come by invitation."""
    return bool(settings.SIGN_UP == "open")


def begin(email: str) -> None:
    """Have a mail sent. Takes the same time, and tells the same, for a known and an unknown address."""
    ring("mail_sign_up", email=email.strip().lower(), language=get_language() or settings.LANGUAGE_CODE)


def token_for(email: str) -> str:
    """What proves the address: only its owner is mailed it."""
    return signing.dumps(email, salt=_SALT)


def address_of(token: str) -> str | None:
    """The proved address; None for a token that is forged, too old, or used: a user has that address."""
    try:
        email = str(signing.loads(token, salt=_SALT, max_age=LINK_SECONDS))
    except signing.BadSignature:
        return None
    return None if User.objects.filter(email=email).exists() else email
