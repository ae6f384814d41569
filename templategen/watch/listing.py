"""The task list as a hint: one page tells of a hundred tasks, and only those that it calls ended are asked for.

In use where many tasks are open. Nothing is believed of it that would cost a template ID: an end is recorded only from
the single query, and each task is asked for by itself now and then whatever the list says.
"""

import math
import random
from collections.abc import Callable, Container, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from templategen import credential_status, tally
from templategen.clients.dashscope import (
    CANCELED_WORD,
    FAILED_WORD,
    PENDING_WORD,
    SUCCESS_WORDS,
    UNKNOWN_WORD,
    RefusedError,
    TaskPage,
)
from templategen.models import ActionTemplate
from templategen.pipeline import lifetimes, looks
from templategen.pipeline.lifetimes import Lifetime
from templategen.states import WATCHED, State
from templategen.watch.pool import ClosedError
from templategen.watch.walk import Walk

# The largest page that is asked for; what the service allows is not documented (docs/alibaba.md 3.2).
LARGEST_PAGE, _SMALLEST_PAGE = 100, 10
_PAGE_SIZE_KEPT = timedelta(days=1)
# From so many open tasks on, and only if it takes far fewer pages than tasks.
_FEWEST, _GAIN = 4, 3
# From so many on the list is read all the time, and a row's own next look is only what is left if that fails.
MANY = 200
# Where the list is read all the time a row's own next look is put off for longer: each time is a write.
_WRITES_PER_SECOND, _LONGEST = 50.0, 180.0
# The share of the queries that reading it may take; the rest is for those that ended.
_SHARE = 0.6
_QUICKEST, _QUICKEST_MANY = 0.5, 2.0
# For so long the list is believed that a task is at work; then it is asked for by itself.
_BELIEVED = 3600.0
# An end that the single query did not confirm is not asked for again before.
_HUSH = 10.0
_COUNT_SECONDS, _BROKEN_SECONDS, _PAGES_KEPT = 3.0, 60.0, 600.0
_FAILURES = 3
_ENDED_WORDS = SUCCESS_WORDS | {FAILED_WORD, CANCELED_WORD, UNKNOWN_WORD}


@dataclass(frozen=True)
class AtWork:
    """A task that the list showed at work, and when."""

    word: str
    at: float
    listed: Lifetime


@dataclass(frozen=True)
class _Page:
    walk: Walk
    number: int
    asked_at: float
    answer: "Future[TaskPage]"


class Listing:
    """What the task list said last of one credential's open tasks."""

    def __init__(self, credential_id: int | None, *, clock: Callable[[], float]) -> None:
        self._credential_id = credential_id
        self._clock = clock
        self._open = 0
        self._counted_at = self._begun_at = self._broken_until = self._many_until = -math.inf
        self._failures = 0
        self._page_size = LARGEST_PAGE
        # Pages that the last walk took, and until when that is believed.
        self._pages, self._pages_until = 0, -math.inf
        self._walk: Walk | None = None
        self._under_way: list[_Page] = []
        # Task ID → primary key and state, as the present walk found them at its start.
        self._rows: dict[str, tuple[int, str]] = {}
        self._known: set[int] = set()
        self._at_work: dict[int, AtWork] = {}
        self._missing: set[int] = set()
        self._ended: dict[int, Lifetime] = {}
        self._begun: dict[int, AtWork] = {}
        # When each was last asked for by itself.
        self._asked: dict[int, float] = {}

    # --- how many there are, and what follows from it ---

    def count_open(self) -> None:
        """Count the open tasks, now and then."""
        if self._clock() - self._counted_at >= _COUNT_SECONDS:
            self._counted_at = self._clock()
            self._open = ActionTemplate.objects.filter(state__in=WATCHED, credential=self._credential_id).count()
            if self._open >= MANY:
                # Their own next looks are that far off.
                self._many_until = self._counted_at + _LONGEST

    @property
    def many(self) -> bool:
        """Whether so many are open, or were lately, that the list is read all the time."""
        return self.in_use and (self._open >= MANY or self._clock() < self._many_until)

    @property
    def in_use(self) -> bool:
        """Whether reading the list is worth it, and possible."""
        worth = self._open >= max(_FEWEST, _GAIN * self._pages_needed())
        worth = worth or (self._open > 0 and self._clock() < self._many_until)
        return worth and self._clock() >= self._broken_until

    def least(self, per_second: float) -> timedelta:
        """The shortest time between two looks at one row that so many open tasks allow."""
        if self.in_use:
            return timedelta(seconds=min(self._open / _WRITES_PER_SECOND, _LONGEST))
        return min(timedelta(seconds=self._open / (per_second / 2)), looks.LONGEST)

    def _pages_needed(self) -> int:
        known = self._pages if self._clock() < self._pages_until else 0
        return max(known, math.ceil(self._open / self._page_size), 1)

    def _interval(self, per_second: float) -> float:
        quickest = _QUICKEST_MANY if self._open >= MANY else _QUICKEST
        return max(quickest, self._pages_needed() / (per_second * _SHARE))

    # --- reading it ---

    def ask(
        self,
        ask_page: Callable[[int, int], "Future[TaskPage]"],
        *,
        room: int,
        due: int,
        per_second: float,
        now: datetime,
    ) -> int:
        """Begin a walk where it is time for one, and ask for as many pages as there is ``room`` for; their number."""
        if self._walk is None and self._is_time(due, per_second):
            self._begin(now)
        asked = 0
        while self._walk is not None and asked < room:
            number = self._walk.next_page()
            if number is None:
                break
            answer = ask_page(number, self._walk.page_size)
            self._under_way.append(_Page(self._walk, number, self._clock(), answer))
            tally.count("looks", "list")
            asked += 1
        return asked

    def _is_time(self, due: int, per_second: float) -> bool:
        if not self.in_use or self._clock() - self._begun_at < self._interval(per_second):
            return False
        return self.many or due >= max(_FEWEST - 1, self._pages_needed())

    def _begin(self, now: datetime) -> None:
        self._begun_at = self._clock()
        status = credential_status.status_of(self._credential_id)
        kept = status.page_size_at is not None and now - status.page_size_at < _PAGE_SIZE_KEPT
        self._page_size = status.page_size if kept and status.page_size else LARGEST_PAGE
        rows = ActionTemplate.objects.filter(state__in=WATCHED, credential=self._credential_id)
        self._rows = {task_id: (pk, state) for pk, task_id, state in rows.values_list("pk", "task_id", "state")}
        self._known = {pk for pk, _state in self._rows.values()}
        self._at_work = {pk: seen for pk, seen in self._at_work.items() if pk in self._known}
        first = self._begun_at
        self._asked = {
            # Spread, so that those of one moment are not all asked for in one moment an hour later; and never so near
            # that the first word of an end is hushed.
            pk: self._asked.get(pk, first - random.uniform(_HUSH, _BELIEVED))  # noqa: S311
            for pk in self._known
        }
        self._walk = Walk(self._rows, page_size=self._page_size, most_pages=max(len(self._rows) // 2, 2))

    def collect(self, heard: Callable[[BaseException | None, float], None], *, now: datetime) -> int:
        """Take in the pages that have come; how many. ``heard`` is told how each call went."""
        over = [page for page in self._under_way if page.answer.done()]
        self._under_way = [page for page in self._under_way if page not in over]
        for page in over:
            problem = page.answer.exception()
            heard(problem, page.asked_at)
            if page.walk is not self._walk:
                continue
            if problem is None:
                self._take(page, now)
            else:
                self._stop(problem, page.walk.page_size, now)
        if self._walk is not None and self._walk.over:
            self._finish(self._walk)
        return len(over)

    def _take(self, page: _Page, now: datetime) -> None:
        answer = page.answer.result()
        self._failures = 0
        if page.number == 1:
            self._learn_page_size(page.walk.page_size, answer, now)
        for row in page.walk.take(page.number, answer):
            self._take_row(row, page.asked_at)

    def _take_row(self, row: dict[str, Any], at: float) -> None:
        pk, state = self._rows[row["task_id"]]
        word = str(row.get("status") or "")
        listed = lifetimes.of_row(row)
        self._missing.discard(pk)
        if word in _ENDED_WORDS:
            self._at_work.pop(pk, None)
            if at - self._asked[pk] >= _HUSH:
                self._ended[pk] = listed
            return
        self._at_work[pk] = AtWork(word, at, listed)
        if state == State.PENDING and word != PENDING_WORD:
            self._begun[pk] = self._at_work[pk]

    def _learn_page_size(self, asked: int, answer: TaskPage, now: datetime) -> None:
        """A shorter page than asked for, of a longer list, shows how many rows the service gives at most."""
        found = len(answer.rows) if 0 < len(answer.rows) < min(asked, answer.total) else asked
        status = credential_status.status_of(self._credential_id)
        old = status.page_size_at is None or now - status.page_size_at >= _PAGE_SIZE_KEPT
        if (old and len(answer.rows) >= min(asked, answer.total)) or found != asked:
            credential_status.learn_page_size(self._credential_id, found, now=now)

    def _stop(self, problem: BaseException, asked: int, now: datetime) -> None:
        """The walk leads nowhere; what it has not shown is asked for one by one."""
        walk, self._walk = self._walk, None
        if isinstance(problem, ClosedError):
            return
        if isinstance(problem, RefusedError) and problem.code == "InvalidParameter" and asked > _SMALLEST_PAGE:
            credential_status.learn_page_size(self._credential_id, max(asked // 2, _SMALLEST_PAGE), now=now)
            self._begun_at = -math.inf
            return
        self._failures += 1
        if self._failures >= _FAILURES:
            self._broken_until = self._clock() + _BROKEN_SECONDS
        if walk is not None:
            self._missing |= {self._rows[task_id][0] for task_id in walk.unseen}

    def _finish(self, walk: Walk) -> None:
        self._walk = None
        self._missing = {self._rows[task_id][0] for task_id in walk.unseen}
        self._pages, self._pages_until = walk.pages_read, self._clock() + _PAGES_KEPT

    # --- what it said ---

    def take_ended(self, most: int, *, but: Container[int]) -> dict[int, Lifetime]:
        """At most so many of those that it calls ended, with their times; each is named once."""
        chosen = [pk for pk in self._ended if pk not in but][: max(most, 0)]
        return {pk: self._ended.pop(pk) for pk in chosen}

    def take_begun(self, most: int, *, but: Container[int]) -> dict[int, AtWork]:
        """At most so many of those that have left Alibaba's line since."""
        chosen = [pk for pk in self._begun if pk not in but][:most]
        return {pk: self._begun.pop(pk) for pk in chosen}

    def asked(self, pks: Iterable[int]) -> None:
        """These were asked for one by one just now."""
        for pk in pks:
            self._asked[pk] = self._clock()
            self._missing.discard(pk)
            self._ended.pop(pk, None)

    def at_work(self, pk: int, *, due_seconds: float, per_second: float) -> AtWork | None:
        """What it showed of a row that has been due for so long, where that will do instead of a look at it."""
        seen = self._at_work.get(pk)
        if seen is None or self._clock() - self._asked.get(pk, self._clock()) > _BELIEVED:
            return None
        age = self._clock() - seen.at
        recent = age <= due_seconds or (self.many and age <= 2 * self._interval(per_second) + _QUICKEST_MANY)
        return seen if recent else None

    def may_show(self, pk: int) -> bool:
        """Whether the walk that is under way, or comes next by itself, may still tell of the row."""
        if pk not in self._known or pk in self._missing or not self.in_use:
            return False
        if self._clock() - self._asked.get(pk, self._clock()) > _BELIEVED:
            return False
        return self.many or self._walk is not None
