"""A lease in the database: of many processes one may do a thing, and a frozen one loses it by time alone."""

import logging
import os
import secrets
import socket
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from templategen.models import Lease

logger = logging.getLogger(__name__)


class LeaseHolder:
    """One process's claim to the lease ``name``."""

    def __init__(self, name: str, *, length: timedelta = timedelta(seconds=20)) -> None:
        self.name = name
        self.length = length
        # Not the process ID alone: those come again after a restart, and on other machines.
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def acquire(self) -> bool:
        """Renew it if it is ours, take it if it is free; whether it is ours now."""
        return self.renew() or self._take()

    def renew(self) -> bool:
        """Whether it is ours still. Inside a transaction this also locks it there: nobody takes it meanwhile."""
        now = timezone.now()
        mine = Lease.objects.filter(name=self.name, owner=self.owner, until__gt=now)
        return bool(mine.update(until=now + self.length))

    def release(self) -> None:
        """Let the next one have it at once."""
        Lease.objects.filter(name=self.name, owner=self.owner).update(until=timezone.now())

    def _take(self) -> bool:
        now = timezone.now()
        free = Lease.objects.filter(name=self.name, until__lte=now)
        if free.update(owner=self.owner, until=now + self.length, epoch=F("epoch") + 1):
            logger.info("lease taken", extra={"lease": self.name, "owner": self.owner})
            return True
        if Lease.objects.filter(name=self.name).exists():
            return False
        try:
            with transaction.atomic():
                Lease.objects.create(name=self.name, owner=self.owner, until=now + self.length, epoch=1)
        except IntegrityError:
            return False
        return True
