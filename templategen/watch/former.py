"""Looks at tasks that no row has any more: a few at a time, each seldom, within the same rate as all others."""

import logging
import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError

from templategen import tally
from templategen.clients.dashscope import Task
from templategen.models import FormerTask
from templategen.pipeline.former import former_later, record_former

logger = logging.getLogger(__name__)

# They are asked about so often, and so many of them at once.
_SECONDS, _AT_ONCE = 5.0, 5


@dataclass(frozen=True)
class _Look:
    former: FormerTask
    asked_at: float
    answer: "Future[Task]"


class FormerLooks:
    """One credential's looks at former tasks."""

    def __init__(self, credential_id: int | None, *, clock: Callable[[], float]) -> None:
        self._credential_id = credential_id
        self._clock = clock
        self._looks: dict[int, _Look] = {}
        self._asked_at = -math.inf

    def ask(self, get_task: Callable[[str], "Future[Task]"], *, room: int, now: datetime) -> int:
        """Ask for those that are due, as far as there is room; how many."""
        room = min(room, _AT_ONCE - len(self._looks))
        if room <= 0 or self._clock() - self._asked_at < _SECONDS:
            return 0
        self._asked_at = self._clock()
        due = FormerTask.objects.due(now=now).filter(credential=self._credential_id).exclude(pk__in=list(self._looks))
        begun = 0
        for former in due[:room]:
            tally.count("looks", "get")
            self._looks[former.pk] = _Look(former, self._clock(), get_task(former.task_id))
            begun += 1
        return begun

    def collect(self, heard: Callable[[BaseException | None, float], timedelta | None], *, now: datetime) -> int:
        """Record the answers that have come; how many. ``heard`` is told how each call went, and says how long to wait
        after one that failed: None where it stays due."""
        over = [look for look in self._looks.values() if look.answer.done()]
        for look in over:
            del self._looks[look.former.pk]
            problem = look.answer.exception()
            wait = heard(problem, look.asked_at)
            if problem is None:
                _record(look.former, look.answer.result(), now=now)
            elif wait is not None:
                former_later(look.former, now=now, wait=wait)
        return len(over)


def _record(former: FormerTask, task: Task, *, now: datetime) -> None:
    """An answer that cannot be recorded keeps no other from being so: it is asked for again later."""
    try:
        record_former(former, task, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("look not recorded", extra={"task_id": former.task_id})
        former_later(former, now=now, wait=FormerTask.LOOK)
