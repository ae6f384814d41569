"""What DashScope says of a task, recorded: the template moves to where its task is.

Rows that change move one by one, by compare-and-set; those that do not only have their next look put off, many in one
update. A caller that froze between asking and recording changes nothing that another has changed meanwhile.
"""

import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from templategen.clients.build import dashscope
from templategen.clients.dashscope import CANCELED_WORD, FAILED_WORD, PENDING_WORD, UNKNOWN_WORD, DashScopeError, Task
from templategen.models import ActionTemplate
from templategen.pipeline import lifetimes, looks
from templategen.pipeline.lifetimes import NOTHING_KNOWN, Lifetime
from templategen.policy import RESULTS_KEPT
from templategen.states import State

logger = logging.getLogger(__name__)

# A lost one is looked at for as long as the service may keep its result (policy.RESULTS_KEPT).
_LOST_LOOK, _NEVER = timedelta(minutes=15), timedelta(days=3650)
# Rows with about the same wait share one update: the same within a tenth of a second, or a tenth of a long wait.
_STEP, _STEPS = timedelta(seconds=1), 10
_AT_ONCE = 500
_LONGEST_ANSWER = 4000


@dataclass(frozen=True)
class Seen:
    """An answer to one look: the row as it was when it was asked for, its task, and what the task list said before."""

    template: ActionTemplate
    task: Task
    listed: Lifetime = NOTHING_KNOWN


@dataclass(frozen=True)
class Later:
    """A row whose task is where it was: only its next look is put off."""

    pk: int
    state: str
    next_look_at: datetime
    looked_at: datetime


def _unknown_time() -> timedelta:
    """How long a task may be UNKNOWN before it counts as lost: the word is also given for a passing trouble."""
    return timedelta(seconds=settings.UNKNOWN_SECONDS)


def look(template: ActionTemplate) -> None:
    """Ask for the task once and record what it is."""
    now = timezone.now()
    try:
        task = dashscope().get_task(template.task_id)
    except DashScopeError as problem:
        logger.warning("look failed", extra={"template": template.public_id, "problem": str(problem)})
        look_later([template], now=now)
        return
    record(template, task, now=now)


def look_later(templates: Iterable[ActionTemplate], *, now: datetime, wait: timedelta = looks.AFTER_TROUBLE) -> None:
    """Put off the next look: at this one something went wrong."""
    by_state: defaultdict[str, list[int]] = defaultdict(list)
    for template in templates:
        by_state[template.state].append(template.pk)
    for state, pks in by_state.items():
        ActionTemplate.objects.filter(pk__in=pks, state=state).update(next_look_at=now + wait)


def record(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    """Move the template to where its task is. Words that are not known mean: still at work."""
    record_all([Seen(template, task)], now=now)


def record_all(seen: Sequence[Seen], *, now: datetime, least: timedelta = timedelta()) -> None:
    """Record many answers. ``least`` is the shortest wait until the next look (looks.wait).

    An answer that cannot be recorded keeps no other from being so: it is asked for again. Each end is a transaction of
    its own, for it books quota: with the rows of several templates locked, waiting for an account's counters could be
    waiting in a circle. All that goes on shares one.
    """
    later: list[Later] = []
    odd: list[ActionTemplate] = []

    def one_by_one(some: Iterable[Seen]) -> None:
        for one in some:
            try:
                with transaction.atomic():
                    wait = _record(one, now=now, least=least)
            except (OperationalError, InterfaceError):
                # The database, not the answer: all of them are asked for again.
                raise
            except Exception:
                logger.exception("look not recorded", extra={"template": one.template.public_id})
                odd.append(one.template)
                continue
            if wait is not None:
                later.append(Later(one.template.pk, one.template.state, now + wait, now))

    one_by_one(one for one in seen if _may_end(one.task))
    with transaction.atomic():
        one_by_one(one for one in seen if not _may_end(one.task))
        put_off(later, now=now)
        look_later(odd, now=now)


def _may_end(task: Task) -> bool:
    """Whether the template leaves the states that hold quota, or may."""
    return task.succeeded or task.status in {FAILED_WORD, CANCELED_WORD, UNKNOWN_WORD}


def put_off(later: Sequence[Later], *, now: datetime) -> None:
    """Write the next looks of rows that are where they were: rows with about the same wait share one update."""
    groups: defaultdict[tuple[str, int], list[Later]] = defaultdict(list)
    for one in later:
        groups[one.state, round(math.log((one.next_look_at - now) / _STEP + 1) * _STEPS)].append(one)
    for (state, _step), group in groups.items():
        for start in range(0, len(group), _AT_ONCE):
            some = group[start : start + _AT_ONCE]
            ActionTemplate.objects.filter(pk__in=[one.pk for one in some], state=state).update(
                next_look_at=min(one.next_look_at for one in some),
                looked_at=min(one.looked_at for one in some),
                unknown_since=None,
            )


def note_ends(ends: Iterable[tuple[ActionTemplate, Lifetime]]) -> None:
    """Tasks that the list calls ended and that cannot be asked for: the retention clock has to know."""
    for template, listed in ends:
        ended_at = _moment(template, listed.ended)
        if ended_at is not None:
            ActionTemplate.objects.filter(pk=template.pk, task_id=template.task_id, ended_at=None).update(
                ended_at=ended_at
            )


def _record(seen: Seen, *, now: datetime, least: timedelta) -> timedelta | None:
    """Move the row, or the wait until its next look where it stays as it is."""
    template, task = seen.template, seen.task
    if task.succeeded and task.template_id:
        _ready(seen, now=now)
    elif task.succeeded:
        _without_id(seen, now=now)
    elif task.status == FAILED_WORD:
        _ended(seen, State.FAILED, now=now)
    elif task.status == CANCELED_WORD:
        _ended(seen, State.CANCELED, now=now)
    elif task.status == UNKNOWN_WORD:
        _unknown(template, task, now=now)
    else:
        return _still_at_work(seen, now=now, least=least)
    return None


def _moment(template: ActionTemplate, span: timedelta | None) -> datetime | None:
    """A time of ours for a span since the task was made."""
    return template.sent_at + span if template.sent_at is not None and span is not None else None


def _times(seen: Seen, *, now: datetime, ended: bool) -> dict[str, Any]:
    """What the answer says of the task's times, as far as it says anything and the row does not know it yet."""
    own = lifetimes.of_task(seen.task)
    began = own.began if own.began is not None else seen.listed.began
    end = own.ended if own.ended is not None else seen.listed.ended
    values: dict[str, Any] = {"looked_at": now}
    running_at = _moment(seen.template, began)
    if running_at is not None:
        values["running_at"] = running_at
    if ended:
        values["ended_at"] = _moment(seen.template, end) or seen.template.ended_at or now
    return values


def _ready(seen: Seen, *, now: datetime) -> None:
    template, task = seen.template, seen.task
    # In the log before the database is asked: it exists nowhere else.
    logger.info("ready", extra={"template": template.public_id, "template_id": task.template_id})
    template.move(
        State.READY,
        guard={"task_id": template.task_id},
        template_id=task.template_id,
        video_duration=task.video_duration,
        video_ratio=task.video_ratio,
        request_id=task.request_id,
        ready_at=now,
        unknown_since=None,
        error_code="",
        error_message="",
        detail={"template_id": task.template_id, "request_id": task.request_id},
        **_times(seen, now=now, ended=True),
    )


def _ended(seen: Seen, to: State, *, now: datetime) -> None:
    template, task = seen.template, seen.task
    template.move(
        to,
        guard={"task_id": template.task_id},
        error_code=task.code or ("failed" if to == State.FAILED else ""),
        error_message=task.message,
        request_id=task.request_id,
        unknown_since=None,
        detail={"code": task.code, "message": task.message, "request_id": task.request_id},
        **_times(seen, now=now, ended=True),
    )


def _unknown(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    """UNKNOWN once may be a hiccup; over UNKNOWN_SECONDS it is lost: its slot is free, it is looked at seldom."""
    if template.state == State.LOST:
        kept = now - (template.last_known or template.changed_at) < RESULTS_KEPT
        _look_again(template, now + (_LOST_LOOK if kept else _NEVER))
    elif _lasts(template, now):
        template.move(
            State.LOST,
            guard={"task_id": template.task_id},
            error_code="lost",
            request_id=task.request_id,
            next_look_at=now + _LOST_LOOK,
            detail={"request_id": task.request_id},
        )
    else:
        _look_again(template, now + _unknown_time() / 5, unknown_since=template.unknown_since or now)


def _without_id(seen: Seen, *, now: datetime) -> None:
    """SUCCEEDED, and no template ID: asked again for a while, then seldom, as for a lost one; its slot is free then."""
    template, task = seen.template, seen.task
    if template.state == State.LOST:
        _unknown(template, task, now=now)
    elif _lasts(template, now):
        template.move(
            State.LOST,
            guard={"task_id": template.task_id},
            error_code="no_template_id",
            request_id=task.request_id,
            next_look_at=now + _LOST_LOOK,
            # The ID may stand where nobody looked for it. As text: it may hold what a database does not take.
            detail={"request_id": task.request_id, "answer": json.dumps(task.answer)[:_LONGEST_ANSWER]},
            **_times(seen, now=now, ended=True),
        )
    else:
        times = _times(seen, now=now, ended=True)
        _look_again(
            template,
            now + _unknown_time() / 5,
            unknown_since=template.unknown_since or now,
            ended_at=template.ended_at or times["ended_at"],
        )


def _lasts(template: ActionTemplate, now: datetime) -> bool:
    """Whether the odd answer has been given for long enough to be believed."""
    return template.unknown_since is not None and now - template.unknown_since >= _unknown_time()


def _still_at_work(seen: Seen, *, now: datetime, least: timedelta) -> timedelta | None:
    template, task = seen.template, seen.task
    if template.state == State.LOST or (template.state == State.PENDING and task.status != PENDING_WORD):
        values = {"running_at": template.running_at or now, **_times(seen, now=now, ended=False)}
        # For the wait: what is only known now.
        template.running_at = values["running_at"]
        template.move(
            State.RUNNING,
            guard={"task_id": template.task_id},
            next_look_at=now + looks.wait(template, task.status, now=now, least=least),
            unknown_since=None,
            ended_at=None,
            error_code="",
            detail={"word": task.status},
            **values,
        )
        return None
    return looks.wait(template, task.status, now=now, least=least)


def _look_again(template: ActionTemplate, at: datetime, **values: Any) -> None:
    ActionTemplate.objects.filter(pk=template.pk, state=template.state, task_id=template.task_id).update(
        next_look_at=at, **values
    )
