"""How often somebody may do something: so many times in so many seconds, counted for all processes together.

Counted in the database, which every installation has; a count is one UPDATE that refuses and counts in one step, so
that no two processes count past each other. Windows are fixed: at the turn of one, twice as many may pass.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.addresses import counted_address
from accounts.door_models import Knocks


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
    key = hashlib.sha256(f"{name}\n{window}\n{who}".encode(errors="replace")).hexdigest()
    if _count(key, rate.most):
        return
    ends = (window + 1) * rate.seconds
    if _begin(key, ends) and _count(key, rate.most):
        return
    raise TooManyError(name, max(1, math.ceil(ends - now)))


def _count(key: str, most: int) -> bool:
    return bool(Knocks.objects.filter(key=key, count__lt=most).update(count=F("count") + 1))


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
    return f"mail {request.POST.get('email', '').strip().lower()}"


BY: dict[str, Callable[[HttpRequest], str]] = {"person": by_person, "address": by_address, "mail": by_mail}


def heed(request: HttpRequest, view_name: str) -> None:
    """Count the request against the limits that settings.LIMITED_VIEWS names for its view. Raises TooManyError."""
    for method, name, by in settings.LIMITED_VIEWS.get(view_name, ()):
        if request.method == method:
            take(name, BY[by](request))
