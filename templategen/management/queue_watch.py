"""Is the queue at work? Asked of the database, for a frozen cluster says nothing itself.

django-q2 freezes for ever when the idle worker that holds its internal queue's semaphore is killed (django-q2 #23):
every process lives on and none does anything.
"""

import time

from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone
from django_q.models import OrmQ

from templategen.models import Heartbeat

BOUND_S = 60.0


class QueueWatch:
    """Remembers when the queue was last seen to move: a heartbeat written, a message taken or done."""

    def __init__(self, bound_s: float) -> None:
        self._bound_s = bound_s
        self._mark: object = None
        self._moved_at = time.monotonic()

    def frozen(self, cluster_age_s: float) -> bool:
        """Whether work is waiting, and nothing moved for longer than the bound, in a cluster older than that."""
        mark = _mark()
        if mark != self._mark:
            self._mark, self._moved_at = mark, time.monotonic()
        still_s = time.monotonic() - self._moved_at
        return min(cluster_age_s, still_s) > self._bound_s and _work_waits()


def _mark() -> object:
    beat = Heartbeat.objects.filter(name="queue").values_list("at", flat=True).first()
    # Taken messages are locked until some time to come. Waiting ones do not count: putting one in is no progress.
    taken = OrmQ.objects.filter(lock__gt=timezone.now()).aggregate(count=Count("pk"), latest=Max("lock"))
    return beat, taken["count"], taken["latest"]


def _work_waits() -> bool:
    """An idle cluster is not frozen. With another broker than the database only the heartbeat can tell."""
    return "orm" not in settings.Q_CLUSTER or OrmQ.objects.exists()
