"""A lease in the database: of many processes one may do a thing, and a frozen one loses it by time alone."""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from templategen.pipeline_models import Lease

logger = logging.getLogger(__name__)

# Clocks of machines that are kept in step differ by less.
_AHEAD = timedelta(minutes=5)


class LeaseHolder:
    """One process's claim to the lease ``name``, for LEASE_SECONDS at a time unless ``length`` says otherwise.

    Whoever decides something by it renews it within the same transaction (fencing): clocks of machines may differ, and
    a frozen process does not know how late it is. ``clock`` counts seconds and never goes back.
    """

    def __init__(
        self, name: str, *, length: timedelta | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.length = length or timedelta(seconds=settings.LEASE_SECONDS)
        # Not the process ID alone: those come again after a restart, and on other machines.
        self.owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._clock = clock
        self._renewed_at: float | None = None

    def hold(self, *, now: datetime | None = None) -> bool:
        """Whether it is ours, written anew only when a quarter of its time is over: for what needs no fencing."""
        fresh = self._renewed_at is not None and self._clock() - self._renewed_at < self.length.total_seconds() / 4
        return fresh or self.acquire(now=now)

    def acquire(self, *, now: datetime | None = None) -> bool:
        """Renew it if it is ours, take it if it is free; whether it is ours now."""
        return self.renew(now=now) or self._take(now or timezone.now())

    def renew(self, *, now: datetime | None = None) -> bool:
        """Whether it is ours still. Inside a transaction this also locks it there: nobody takes it meanwhile."""
        now, begun = now or timezone.now(), self._clock()
        mine = Lease.objects.filter(name=self.name, owner=self.owner, until__gt=now)
        self._renewed_at = begun if mine.update(until=now + self.length) else None
        return self._renewed_at is not None

    def release(self) -> None:
        """Let the next one have it at once."""
        self._renewed_at = None
        Lease.objects.filter(name=self.name, owner=self.owner).update(until=timezone.now())

    def _take(self, now: datetime) -> bool:
        begun = self._clock()
        # Taken for longer than anybody takes it: by a clock that was ahead. A holder that lives renews it anyhow.
        over = Q(until__lte=now) | Q(until__gt=now + 2 * self.length + _AHEAD)
        free = Lease.objects.filter(over, name=self.name)
        if not free.update(owner=self.owner, until=now + self.length, epoch=F("epoch") + 1):
            if Lease.objects.filter(name=self.name).exists():
                return False
            try:
                with transaction.atomic():
                    Lease.objects.create(name=self.name, owner=self.owner, until=now + self.length, epoch=1)
            except IntegrityError:
                return False
        logger.info("lease taken", extra={"lease": self.name, "owner": self.owner})
        self._renewed_at = begun
        return True
