"""The whole task list of a credential, read page by page: network only, nothing is decided here.

The list shows the last 24 hours (task page, "Batch query"), has no input and no template ID, promises no order, and
moves while it is read. What it holds is believed to be whole only where its own counts say so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from templategen.clients.dashscope import DashScope, DashScopeError, RefusedError, Task, TaskPage

# The largest page is not documented; one that is refused is asked for smaller.
_PAGE_SIZES = (100, 50, 20, 10)
_MOST_PAGES = 300


@dataclass(frozen=True)
class Question:
    """What is to be found out. ``candidate``: a task to look at besides, "" for none. ``page_size`` 0: not known.

    ``only``: these tasks alone are looked at, and no list is read; None: the list.
    """

    page_size: int = 0
    any_model: bool = False
    candidate: str = ""
    only: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Listed:
    """One task of the list; ``made_at`` by the service's clock, None where it cannot be read."""

    task_id: str
    status: str
    model: str
    made_at: datetime | None
    request_id: str

    def to_dict(self) -> dict[str, str]:
        """For ActionTemplate.found."""
        made = self.made_at.isoformat() if self.made_at else ""
        return {"task_id": self.task_id, "status": self.status, "made_at": made, "request_id": self.request_id}


@dataclass(frozen=True)
class Gathered:
    """What one reading gave. ``began``: our clock; ``clock``: the service's at the same moment, None if it said none.

    ``whole``: every page was read and the counts agree. ``looked``: answers to ``Question.only``, by the ID asked for.
    ``problem``: why nothing (or, of ``looked``, no more) could be read.
    """

    began: datetime
    tasks: tuple[Listed, ...] = ()
    whole: bool = False
    clock: datetime | None = None
    candidate: Task | None = None
    looked: dict[str, Task] = field(default_factory=dict)
    problem: DashScopeError | None = None

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far the service's clock is ahead of ours, to about a second."""
        return self.clock - self.began if self.clock else None


def _at_once() -> None:
    return


def gather(client: DashScope, question: Question, *, before_call: Callable[[], None] = _at_once) -> Gathered:
    """Read the list, and the candidate. ``before_call`` waits for a query's turn. Raises nothing of DashScope's."""
    if question.only is not None:
        return _look_at(client, question.only, before_call)
    began = timezone.now()
    try:
        candidate = None
        if question.candidate:
            before_call()
            candidate = client.get_task(question.candidate)
        began = timezone.now()
        first, size = _first_page(client, question, before_call)
        answered = first.answered_at
        tasks, whole = _all_pages(client, question, first, size, before_call)
    except DashScopeError as problem:
        return Gathered(began=began, problem=problem)
    return Gathered(began=began, tasks=tasks, whole=whole, clock=answered, candidate=candidate)


def _look_at(client: DashScope, task_ids: tuple[str, ...], before_call: Callable[[], None]) -> Gathered:
    began, looked = timezone.now(), {}
    try:
        for task_id in task_ids:
            before_call()
            looked[task_id] = client.get_task(task_id)
    except DashScopeError as problem:
        return Gathered(began=began, looked=looked, problem=problem)
    return Gathered(began=began, looked=looked)


def _first_page(client: DashScope, question: Question, before_call: Callable[[], None]) -> tuple[TaskPage, int]:
    sizes = [size for size in _PAGE_SIZES if size <= (question.page_size or _PAGE_SIZES[0])] or [question.page_size]
    for size in sizes[:-1]:
        before_call()
        try:
            return client.list_tasks(page=1, page_size=size, any_model=question.any_model), size
        except RefusedError as problem:
            if not problem.code.startswith("InvalidParameter"):
                raise
    before_call()
    return client.list_tasks(page=1, page_size=sizes[-1], any_model=question.any_model), sizes[-1]


def _all_pages(
    client: DashScope, question: Question, first: TaskPage, size: int, before_call: Callable[[], None]
) -> tuple[tuple[Listed, ...], bool]:
    """Every task, and whether the counts say that these are all."""
    page, number = first, 1
    found: dict[str, Listed] = {}
    readable = page.readable
    while page.rows:
        rows = [_listed(row) for row in page.rows]
        readable = readable and page.readable and all(row.task_id for row in rows)
        found |= {row.task_id: row for row in rows}
        if 0 < page.pages <= number or 0 < page.total <= len(found) or number >= _MOST_PAGES:
            break
        number += 1
        before_call()
        page = client.list_tasks(page=number, page_size=size, any_model=question.any_model)
    # A list that grew or shrank meanwhile has shown some twice and others not at all.
    same = first.total == len(found) and (not page.rows or page.total == first.total)
    whole = readable and same and number < _MOST_PAGES
    return tuple(found.values()), whole


def _listed(row: dict[str, Any]) -> Listed:
    def text(name: str) -> str:
        value = row.get(name)
        return value[:100] if isinstance(value, str) else ""

    return Listed(
        text("task_id"), text("status"), text("model_name"), _moment(row.get("gmt_create")), text("request_id")
    )


def _moment(value: object) -> datetime | None:
    """Epoch milliseconds (task page); None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
