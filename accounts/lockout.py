"""How wrong passwords are counted: django-axes, with a limit for a user from one address and another for the address.

Never for the user alone: anybody could then lock anybody out.
"""

import math
from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.addresses import counted_address
from accounts.models import User
from accounts.refusals import too_many


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Axes' own, with two limits: AXES_FAILURE_LIMIT for user and address, SIGN_IN_ADDRESS_LIMIT for the address."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Failures of the user from this address; as many as are too many where the address has had too many."""
        of_user, of_address = (
            found.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
            for found in self.get_user_attempts(request, credentials)
        )
        if request.axes_ip_address and of_address >= settings.SIGN_IN_ADDRESS_LIMIT:  # type: ignore[attr-defined]
            return max(of_user, settings.AXES_FAILURE_LIMIT)
        return int(of_user)

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Who has signed in has nothing to fear for that user; the address' other failures stay counted."""
        of_user, _of_address = self.filter_user_attempts(request, credentials)
        return int(of_user.delete()[0])


def forgive(user: User) -> None:
    """Who has proved their address and set a new password has nothing to fear of earlier wrong ones.

    Other users' wrong passwords from the same network address stay counted.
    """
    reset(username=user.email.lower())


def username(_request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """By which name failures are counted: an address is the same in capital letters. ``""`` for none."""
    given = str((credentials or {}).get("username") or "")
    return given.replace("\0", "").strip().lower()[:255]


def locked_out(request: HttpRequest, credentials: dict[str, Any] | None, *_more: Any) -> HttpResponse:
    """429: too many wrong passwords, and when to come back."""
    address = counted_address(request)
    of_user = AccessAttempt.objects.filter(ip_address=address, username=username(request, credentials))
    failures = of_user.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
    rows = of_user if failures >= settings.AXES_FAILURE_LIMIT else AccessAttempt.objects.filter(ip_address=address)
    last = rows.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    over = last + timedelta(seconds=settings.SIGN_IN_LOCK_SECONDS)
    return too_many(request, "sign_in", max(1, math.ceil((over - timezone.now()).total_seconds())))
