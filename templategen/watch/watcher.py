"""One credential's looks: what is asked for next, what is under way, what comes of it."""

import logging
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings

from templategen import credential_status, policy, tally
from templategen.clients import build
from templategen.clients.dashscope import (
    DashScope,
    DashScopeError,
    NeverSentError,
    RefusedError,
    Task,
    TaskPage,
    UnusableKeyError,
)
from templategen.credentials import successor_of
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.pipeline import looks
from templategen.pipeline.lifetimes import NOTHING_KNOWN, Lifetime
from templategen.pipeline.record import Later, Seen, look_later, note_ends, put_off, record_all
from templategen.rates import Rate
from templategen.states import LOOKED_AT
from templategen.watch.former import FormerLooks
from templategen.watch.listing import Listing
from templategen.watch.pool import Asking, ClosedError, Pool

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
# What is given to the threads beforehand, so that they have work until the next pass.
_AHEAD_SECONDS = 0.5
# Where the setting names no limit: what one process asks for without need of more.
_UNLIMITED = 40.0
# Rows whose next look is put off in one pass; each look that changes nothing is one row of a shared update.
_PUT_OFF_AT_ONCE = 1000
_BEGUN_AT_ONCE = 50
# After so many calls in a row without an answer the service is left alone for a while.
_TROUBLES, _LONGEST_REST = 5, 30.0
# No question takes longer than so many times its time-out: those count each read, and an answer may drip for ever.
_PATIENCE = 3
# A task that cannot be asked for, for a reason of its own.
_AFTER_REFUSAL = timedelta(seconds=60)
_STATUS_SECONDS = 5.0
# A key that cannot be read is tried again so often: somebody may have put the former encryption key back.
_UNUSABLE_SECONDS = 30.0
# Where the list is read all the time, what is due by itself is looked through only so often.
_DUE_SECONDS = 2.0


@dataclass(frozen=True)
class _Look:
    """A look that is under way: the row as it was when it was asked for."""

    template: ActionTemplate
    listed: Lifetime
    asked_at: float
    answer: "Future[Task]"


class Watcher:
    """Watches one credential's tasks. Only the conductor's thread calls it; ``news`` is called from others.

    ``clock`` counts seconds for everything that is not written into rows.
    """

    def __init__(
        self, credential_id: int | None, *, news: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.credential_id = credential_id
        self._clock = clock
        self._rate = Rate(settings.DASHSCOPE_QUERIES_PER_SECOND)
        self._connections = max(settings.DASHSCOPE_CONNECTIONS, 1)
        name = f"looks-{credential_status.key_of(credential_id)}"
        self._pool = Pool(self._connections, name=name, done=news, clock=clock)
        # Made by the conductor's thread, for it may have to ask the database; the pool's only call.
        self._client: DashScope | None = None
        # In place of a retired key that is no longer taken.
        self._successor: int | None = None
        self._asking = Asking(self._present_client, self._rate, self._pool)
        self._looks: dict[int, _Look] = {}
        self._listing = Listing(credential_id, clock=clock)
        self._former = FormerLooks(credential_id, clock=clock)
        # Calls in a row without an answer; refusals of all calls in a row.
        self._troubles = self._refusals = 0
        self._rest_until = 0.0
        self._held_since = self._status_at = self._due_at = -math.inf
        self._held = False
        # When something is due again, as far as the last pass could see.
        self.next_due: datetime | None = None

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self._pool.open > 0

    def run(self, call: Callable[[Asking], _T]) -> "Future[_T]":
        """Have something else asked of the service, within the same rate: network only, no database."""
        self._make_client()
        return self._pool.submit(lambda: call(self._asking))

    def _make_client(self) -> bool:
        """Whether the credential's key can be used; else it is paused, and its looks are held."""
        try:
            self._client = build.dashscope(self.credential_id if self._successor is None else self._successor)
        except UnusableKeyError as problem:
            if self._ask_with_successor():
                return self._make_client()
            self._client = None
            credential_status.pause(self.credential_id, code=problem.code, message="")
            credential_status.hold_looks(self.credential_id, retry_after=_UNUSABLE_SECONDS)
            self._status_at = -math.inf
        return self._client is not None

    def _ask_with_successor(self) -> bool:
        """From now on ask with the key that took this one's place, where that may be done and was not yet."""
        if self._successor is None:
            self._successor = successor_of(self.credential_id)
            if self._successor is not None:
                extra = {"credential": credential_status.key_of(self.credential_id), "instead": self._successor}
                logger.warning("tasks of a retired key are asked for with its successor", extra=extra)
                return True
        return False

    def _present_client(self) -> DashScope:
        if self._client is None:
            raise NeverSentError("no key")
        return self._client

    def close(self) -> None:
        """Forget whatever is under way: another process watches now."""
        self._pool.close()

    def one_pass(self, now: datetime) -> int:
        """Record what has come, ask for what is due; how many answers were recorded and calls begun."""
        self._listing.count_open()
        self._pool.give_up(after=_PATIENCE * settings.DASHSCOPE_TIMEOUT_SECONDS)
        done = self._collect(now) + self._listing.collect(self._heard_of_list, now=now)
        done += self._record_begun(now) + self._former.collect(self._heard, now=now)
        if self.is_held(now) or not self._make_client():
            self.next_due = None
        else:
            done += self._ask(now)
        return done

    # --- what has come ---

    def _collect(self, now: datetime) -> int:
        over = [look for look in self._looks.values() if look.answer.done()]
        seen: list[Seen] = []
        failed: defaultdict[timedelta, list[_Look]] = defaultdict(list)
        for look in over:
            del self._looks[look.template.pk]
            problem = look.answer.exception()
            wait = self._heard(problem, look.asked_at, template=look.template)
            if problem is None:
                seen.append(Seen(look.template, look.answer.result(), look.listed))
            elif wait is not None:
                failed[wait].append(look)
        if seen:
            record_all(seen, now=now, least=self._least())
            self._listing.asked(one.template.pk for one in seen)
        for wait, some in failed.items():
            look_later([look.template for look in some], now=now, wait=wait)
            note_ends((look.template, look.listed) for look in some)
        return len(over)

    def _record_begun(self, now: datetime) -> int:
        """Those that have left Alibaba's line, as the list says."""
        begun = self._listing.take_begun(_BEGUN_AT_ONCE, but=self._looks)
        rows = self._rows().filter(pk__in=begun) if begun else ()
        record_all(
            [Seen(row, Task(row.task_id, begun[row.pk].word), begun[row.pk].listed) for row in rows],
            now=now,
            least=self._least(),
        )
        return len(begun)

    def _heard_of_list(self, problem: BaseException | None, asked_at: float) -> None:
        self._heard(problem, asked_at)

    def _heard(
        self, problem: BaseException | None, asked_at: float, *, template: ActionTemplate | None = None
    ) -> timedelta | None:
        """Take note of how a call went; how long its row waits then, None where the row itself need not."""
        if problem is None:
            self._troubles = self._refusals = 0
            return None
        if isinstance(problem, ClosedError):
            return None
        code = _code(problem)
        tally.count("look_errors", code)
        extra = {"credential": credential_status.key_of(self.credential_id), "code": code}
        if template is not None:
            extra["template"] = str(template.public_id)
        logger.warning("look failed", extra=extra, exc_info=None if isinstance(problem, DashScopeError) else problem)
        if isinstance(problem, RefusedError):
            return None if self._holds_back(problem, asked_at) else _AFTER_REFUSAL
        self._troubles += 1
        if self._troubles >= _TROUBLES:
            rest = min(2.0 ** (self._troubles - _TROUBLES), _LONGEST_REST) * random.uniform(0.5, 1.0)  # noqa: S311
            self._rest_until = max(self._rest_until, self._clock() + rest)
        return looks.AFTER_TROUBLE

    def _holds_back(self, problem: RefusedError, asked_at: float) -> bool:
        """Whether the refusal is of the credential's looks altogether: then they are held back for a while."""
        paused = policy.verdict_on_look(problem) is policy.Verdict.PAUSE
        if not paused and policy.verdict(problem) is not policy.Verdict.LATER:
            return False
        if asked_at <= self._held_since:
            # Several under way at once are refused together: that counts once.
            return True
        self._held_since = self._clock()
        if paused and self._ask_with_successor():
            return True
        self._status_at = -math.inf
        self._refusals += 1
        if paused:
            credential_status.pause(
                self.credential_id, code=problem.code, message=problem.message, request_id=problem.request_id
            )
        else:
            self._rate.slow_down()
        wait = policy.back_off(self._refusals - 1, retry_after=problem.retry_after)
        credential_status.hold_looks(self.credential_id, retry_after=wait.total_seconds())
        return True

    # --- what is due ---

    @property
    def _per_second(self) -> float:
        return self._rate.now_per_second or _UNLIMITED

    def is_held(self, now: datetime) -> bool:
        """Whether nothing is to be asked now: throttled or refused (the row says so), or without answers."""
        if self._clock() < self._rest_until:
            return True
        if self._clock() - self._status_at >= _STATUS_SECONDS or self._held:
            self._status_at = self._clock()
            held_until = credential_status.status_of(self.credential_id).looks_held_until
            self._held = credential_status.is_held(held_until, now=now)
        return self._held

    def _room(self) -> int:
        """How many more calls the threads may be given."""
        return self._connections + int(self._per_second * _AHEAD_SECONDS) - self._pool.open

    def _ask(self, now: datetime) -> int:
        begun = self._ask_for_ended()
        due = self._due(now) if not self._listing.many or self._clock() - self._due_at >= _DUE_SECONDS else []
        begun += self._listing.ask(
            self._ask_page, room=self._room(), due=len(due), per_second=self._per_second, now=now
        )
        room = self._room()
        shown: list[Later] = []
        alone: list[ActionTemplate] = []
        for row in due:
            seen = self._listing.at_work(
                row.pk, due_seconds=(now - row.next_look_at).total_seconds(), per_second=self._per_second
            )
            if seen is not None:
                at = now - timedelta(seconds=self._clock() - seen.at)
                wait = looks.wait(row, seen.word, now=now, least=self._least())
                shown.append(Later(row.pk, row.state, now + wait, at))
            elif len(alone) < room and not self._listing.may_show(row.pk):
                alone.append(row)
        put_off(shown, now=now)
        for row in self._whole(alone):
            self._look(row, NOTHING_KNOWN)
        begun += self._former.ask(self._ask_task, room=self._room(), now=now)
        return begun + len(alone)

    def _ask_task(self, task_id: str) -> "Future[Task]":
        return self.run(lambda asking: asking.get_task(task_id))

    def _ask_page(self, number: int, size: int) -> "Future[TaskPage]":
        return self.run(lambda asking: asking.list_tasks(page=number, page_size=size))

    def _least(self) -> timedelta:
        return self._listing.least(self._per_second)

    def _ask_for_ended(self) -> int:
        """Those that the list calls ended come first: their template IDs wait."""
        ended = self._listing.take_ended(self._room(), but=self._looks)
        rows = self._rows().filter(pk__in=ended) if ended else ()
        for row in rows:
            self._look(row, ended[row.pk])
        return len(ended)

    def _due(self, now: datetime) -> list[ActionTemplate]:
        """Rows whose next look has come, the longest waiting first, without those that are under way."""
        self._due_at = self._clock()
        most = _PUT_OFF_AT_ONCE if self._listing.in_use else max(self._room(), 0)
        rows = self._rows()
        if self._listing.many:
            rows = rows.filter(next_look_at__lte=now)
        if self._listing.in_use:
            # Most of them only have their next look put off.
            rows = rows.only("state", "next_look_at", "running_at", "sent_at", "changed_at")
        found = list(rows.order_by("next_look_at", "pk")[: most + len(self._looks) + 1])
        later = [row.next_look_at for row in found if row.next_look_at > now]
        self.next_due = later[0] if later else None
        return [row for row in found if row.next_look_at <= now and row.pk not in self._looks][:most]

    def _whole(self, rows: list[ActionTemplate]) -> Iterable[ActionTemplate]:
        """The rows with all their fields."""
        if all(not row.get_deferred_fields() for row in rows):
            return rows
        return self._rows().filter(pk__in=[row.pk for row in rows])

    def _rows(self) -> TemplateQuerySet:
        return ActionTemplate.objects.filter(state__in=LOOKED_AT, credential=self.credential_id)

    def _look(self, template: ActionTemplate, listed: Lifetime) -> None:
        tally.count("looks", "get")
        self._looks[template.pk] = _Look(template, listed, self._clock(), self._ask_task(template.task_id))


def _code(problem: BaseException) -> str:
    """DashScope's own code, or what went wrong instead of an answer."""
    if isinstance(problem, RefusedError):
        return problem.code or str(problem.status)
    return str(problem) if isinstance(problem, DashScopeError) and str(problem) else type(problem).__name__
