"""Two-step sign-in: after the password a code from an app on one's phone (TOTP, RFC 6238), or a recovery code.

A session whose user has this on is nobody's until the code is given: ``doors.SecondStepMiddleware`` sees to that for
every page, however the session began. The app's secret lies in django-otp's own table, in the clear as that library
keeps it; recovery codes lie here as hashes, 80 random bits each, so that a plain hash gives nothing away.
"""

import hashlib
import math
import secrets

import django_otp
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import limits, sessions
from accounts.door_models import RecoveryCode
from accounts.models import User

RECOVERY_CODES = 10
# So few are worth a word.
FEW_CODES = 3
# What is not mistaken for something else: 32 of them, 5 bits each.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS, _IN_GROUP = 4, 4
# Codes of digits are the app's; one may type a space between them.
_DIGITS = 6
# So many wrong codes in a row cost no wait: one is easily typed wrong, or just over.
_FORGIVEN = 1
# In a session: its user had no second step when it began, and whatever turns it on ends the session.
CHECKED_KEY = "two_step_checked"


def is_on(user: User) -> bool:
    """Whether a code is asked for at this user's sign-in."""
    return device_of(user) is not None


def is_required(user: User | AnonymousUser) -> bool:
    """Whether the site wants it of them: of staff, where TWO_STEP_FOR_STAFF is on."""
    return bool(settings.TWO_STEP_FOR_STAFF and user.is_staff)


def device_of(user: User) -> TOTPDevice | None:
    """The app on their phone; None where it is off."""
    device: TOTPDevice | None = TOTPDevice.objects.filter(user=user, confirmed=True).order_by("pk").first()
    return device


def codes_left(user: User) -> int:
    """Recovery codes that were not used yet."""
    return user.recovery_codes.filter(used_at=None).count()


# --- Turning it on and off ---


def begun_device(user: User) -> TOTPDevice:
    """The app that is being set up; the same until it is confirmed, so that a page that is loaded anew still fits."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
        made: TOTPDevice = device or TOTPDevice.objects.create(user=user, confirmed=False, name="")
    return made


def turn_on(request: HttpRequest, user: User, code: str) -> list[str] | None:
    """Confirm the app by a code of it: the recovery codes, to be shown once; None where the code does not fit.

    The user's other browsers are signed out: they have given no code. Raises limits.TooManyError.
    """
    device = begun_device(user)
    if not _fits(device, code):
        return None
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user).exclude(pk=device.pk).delete()
        TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
        device.refresh_from_db()
        codes = new_codes(user)
    _let_through(request, device)
    sessions.end_all(user, but=request.session.session_key)
    return codes


def turn_off(user: User) -> bool:
    """Ask for no code any more; whether one was asked for. Who runs the site does this for who lost phone and codes."""
    with transaction.atomic():
        done: bool = TOTPDevice.objects.filter(user=user, confirmed=True).exists()
        TOTPDevice.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
    return done


def new_codes(user: User) -> list[str]:
    """Fresh recovery codes in place of the old ones. They are kept nowhere."""
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create([RecoveryCode(user=user, code_hash=_hash(code)) for code in codes])
    return codes


# --- At the door ---


def waiting_user(request: HttpRequest) -> User | None:
    """Who has given a password and no code yet; None for everybody else."""
    user = request.user
    if user.is_authenticated:
        return None
    return getattr(user, "waiting", None)


def pass_second_step(request: HttpRequest, user: User, code: str) -> bool:
    """Let the session in if the code fits: the app's, or a recovery code. Raises limits.TooManyError."""
    device = device_of(user)
    if device is None or not give_code(user, code):
        return False
    request.user = user
    _let_through(request, device)
    return True


def give_code(user: User, code: str) -> bool:
    """Whether the code fits; it is used up by that. Raises limits.TooManyError."""
    limits.take("code", f"user {user.pk}")
    device = device_of(user)
    if device is None:
        return False
    plain = "".join(code.split()).replace("-", "").lower()
    if plain.isdecimal():
        return _fits(device, plain)
    spent = user.recovery_codes.filter(used_at=None, code_hash=_hash(plain)).update(used_at=timezone.now())
    return bool(spent)


def _fits(device: TOTPDevice, code: str) -> bool:
    """Whether the app made this code just now; each works once. Raises TooManyError after several wrong ones."""
    plain = "".join(code.split())
    if not (len(plain) == _DIGITS and plain.isascii() and plain.isdecimal()):
        return False
    with transaction.atomic():
        # Locked: of two who give the same code at the same moment one is let in.
        mine = TOTPDevice.objects.select_for_update().filter(pk=device.pk).first()
        if mine is None:
            return False
        allowed, why = mine.verify_is_allowed()
        if not allowed and mine.throttling_failure_count <= _FORGIVEN:
            # django-otp looks again: for it there was no failure yet, but the next one still counts as one more.
            mine.throttling_failure_timestamp, allowed = None, True
        if allowed:
            return bool(mine.verify_token(plain))
    wait = (why["locked_until"] - timezone.now()).total_seconds()
    raise limits.TooManyError("code", max(1, math.ceil(wait)))


def _let_through(request: HttpRequest, device: TOTPDevice) -> None:
    django_otp.login(request, device)
    request.session.pop(CHECKED_KEY, None)
    # It may do more from now on than whoever knew its key before.
    request.session.cycle_key()


def _new_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_GROUPS * _IN_GROUP))
    return "-".join(letters[place : place + _IN_GROUP] for place in range(0, len(letters), _IN_GROUP))


def _hash(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").encode(errors="replace")).hexdigest()
