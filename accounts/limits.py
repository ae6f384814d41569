"""How often somebody may do something: so many times in so many seconds, counted for all processes together.

Counted in the database, which every installation has; a count is one UPDATE that refuses and counts in one step, so
that no two processes count past each other. Windows are fixed: at the turn of one, twice as many may pass.

Of a high limit a process counts a sixtieth at once and spends it from memory: what comes ten times a second costs no
write each time. What it has not spent when the window ends was counted all the same; never more passes than may.
"""

import hashlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.addresses import counted_address
from accounts.door_models import Knocks

# A limit of so many, or more, is counted in so many steps.
_AT_ONCE = 60


class TooManyError(Exception):
    """Too often. ``seconds``: how long until it is worth another try."""

    def __init__(self, name: str, seconds: int) -> None:
        super().__init__(name)
        self.name = name
        self.seconds = seconds


@dataclass(frozen=True)
class Rate:
    """``most`` times in ``seconds``."""

    most: int
    seconds: int


def parse(text: str) -> Rate | None:
    """``"10/3600"``: ten in an hour; empty: as often as one likes. Raises ValueError."""
    if not text.strip():
        return None
    most, _slash, seconds = text.partition("/")
    rate = Rate(int(most), int(seconds))
    if rate.most < 1 or rate.seconds < 1:
        raise ValueError(text)
    return rate


def take(name: str, who: str) -> None:
    """Count once for the limit of that name in settings.LIMITS. Raises TooManyError where it is used up."""
    rate = parse(settings.LIMITS[name])
    if rate is None:
        return
    now = timezone.now().timestamp()
    window = math.floor(now / rate.seconds)
    ends = (window + 1) * rate.seconds
    key = hashlib.sha256(f"{name}\n{window}\n{who}".encode(errors="replace")).hexdigest()
    if _held.spend(key) or _count(key, rate.most, ends) or (_begin(key, ends) and _count(key, rate.most, ends)):
        return
    raise TooManyError(name, max(1, math.ceil(ends - now)))


class _Held:
    """What this process has counted and not spent yet, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[int, float]] = {}

    def spend(self, key: str) -> bool:
        """One of what is left."""
        with self._lock:
            left, ends = self._left.get(key, (0, 0.0))
            if not left:
                return False
            self._left[key] = (left - 1, ends)
            return True

    def keep(self, key: str, count: int, *, ends: float, now: float) -> None:
        """For later in the same window. What belongs to windows that are over goes."""
        with self._lock:
            self._left = {other: held for other, held in self._left.items() if held[1] > now and held[0]}
            left, _ends = self._left.get(key, (0, ends))
            self._left[key] = (left + count, ends)

    def forget(self) -> None:
        """Tests begin anew."""
        with self._lock:
            self._left = {}


_held = _Held()
forget = _held.forget


def _count(key: str, most: int, ends: float) -> bool:
    """Count one, or several at once and keep the others."""
    several = max(1, most // _AT_ONCE)
    for count in sorted({several, 1}, reverse=True):
        if Knocks.objects.filter(key=key, count__lte=most - count).update(count=F("count") + count):
            if count > 1:
                _held.keep(key, count - 1, ends=ends, now=timezone.now().timestamp())
            return True
    return False


def _begin(key: str, ends: float) -> bool:
    """Open a window; False where it is open already. What has ended long ago goes with it."""
    ends_at = datetime.fromtimestamp(ends, UTC)
    if Knocks.objects.filter(key=key).exists():
        return False
    Knocks.objects.filter(ends_at__lt=timezone.now()).delete()
    Knocks.objects.bulk_create([Knocks(key=key, ends_at=ends_at)], ignore_conflicts=True)
    return True


# --- Who is counted ---


def by_person(request: HttpRequest) -> str:
    """The user; before sign-in the address."""
    return f"user {request.user.pk}" if request.user.is_authenticated else by_address(request)


def by_address(request: HttpRequest) -> str:
    """The visitor's address."""
    return f"address {counted_address(request)}"


def by_mail(request: HttpRequest) -> str:
    """The mail address that the form names, whoever sends it."""
    return mailed(request.POST.get("email", ""))


def mailed(email: str) -> str:
    """The mail address."""
    return f"mail {email.strip().lower()}"


BY: dict[str, Callable[[HttpRequest], str]] = {"person": by_person, "address": by_address, "mail": by_mail}


def heed(request: HttpRequest, view_name: str) -> None:
    """Count the request against the limits that settings.LIMITED_VIEWS names for its view. Raises TooManyError."""
    for method, name, by in settings.LIMITED_VIEWS.get(view_name, ()):
        if request.method == method:
            take(name, BY[by](request))
