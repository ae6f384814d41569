"""How long a task waited and worked, told by the service's own clock.

Only spans are taken, never its times of day: those of a task come without a zone (docs/alibaba.md 3.1), and its clock
and ours may differ. Counted from the moment at which we sent it, a span becomes a time of ours.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from templategen.clients.dashscope import Task

_LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Lifetime:
    """Since the task was made: when its work began, when it ended; None where the service does not say."""

    began: timedelta | None = None
    ended: timedelta | None = None


NOTHING_KNOWN = Lifetime()


def of_task(task: Task) -> Lifetime:
    """From the answer to a single query: ``submit_time``, ``scheduled_time``, ``end_time`` (task page)."""
    output = task.answer.get("output")
    if not isinstance(output, dict):
        return NOTHING_KNOWN
    made, began, ended = (_moment(output.get(name)) for name in ("submit_time", "scheduled_time", "end_time"))
    return Lifetime(_span(made, began), _span(made, ended))


def of_row(row: dict[str, Any]) -> Lifetime:
    """From a row of the task list: ``gmt_create``, ``start_time``, ``end_time`` in epoch milliseconds (task page)."""
    made, began, ended = (_milliseconds(row.get(name)) for name in ("gmt_create", "start_time", "end_time"))
    return Lifetime(_span(made, began), _span(made, ended))


def _moment(value: object) -> timedelta | None:
    """``2023-12-20 21:36:31.896`` as the time since some moment, always the same."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value[:40]).replace(tzinfo=None) - datetime.min  # noqa: DTZ901
    except ValueError:
        return None


def _milliseconds(value: object) -> timedelta | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return timedelta(milliseconds=value)
    except (OverflowError, ValueError):
        return None


def _span(start: timedelta | None, end: timedelta | None) -> timedelta | None:
    """From one to the other; None for what makes no sense."""
    if start is None or end is None:
        return None
    try:
        span = end - start
    except OverflowError:
        return None
    return span if timedelta() <= span <= _LONGEST else None
