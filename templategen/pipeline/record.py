"""What DashScope says of a task, recorded: the template moves to where its task is."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from templategen import policy
from templategen.clients.build import dashscope
from templategen.clients.dashscope import CANCELED_WORD, FAILED_WORD, PENDING_WORD, UNKNOWN_WORD, DashScopeError, Task
from templategen.models import ActionTemplate
from templategen.states import State

logger = logging.getLogger(__name__)

# A lost one is looked at for as long as the service keeps results (about 24 hours, docs/alibaba.md 3.1).
RESULTS_KEPT = timedelta(hours=25)
_LOST_LOOK, _NEVER = timedelta(minutes=15), timedelta(days=3650)


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
        look_later(template)
        return
    record(template, task, now=now)


def look_later(template: ActionTemplate) -> None:
    """Put off the next look: at this one something went wrong."""
    _look_again(template, timezone.now() + policy.FAILED_LOOK_WAIT)


def record(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    """Move the template to where its task is. Words that are not known mean: still at work."""
    if task.succeeded and task.template_id:
        _ready(template, task, now=now)
    elif task.succeeded:
        _without_id(template, task, now=now)
    elif task.status == FAILED_WORD:
        _ended(template, task, State.FAILED)
    elif task.status == CANCELED_WORD:
        _ended(template, task, State.CANCELED)
    elif task.status == UNKNOWN_WORD:
        _unknown(template, task, now=now)
    else:
        _still_at_work(template, task, now=now)


def _ready(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    logger.info("ready", extra={"template": template.public_id, "template_id": task.template_id})
    template.move(
        State.READY,
        guard={"task_id": template.task_id},
        template_id=task.template_id,
        video_duration=task.video_duration,
        video_ratio=task.video_ratio,
        request_id=task.request_id,
        ready_at=now,
        error_code="",
        error_message="",
        detail={"template_id": task.template_id, "request_id": task.request_id},
    )


def _ended(template: ActionTemplate, task: Task, to: State) -> None:
    template.move(
        to,
        guard={"task_id": template.task_id},
        error_code=task.code or ("failed" if to == State.FAILED else ""),
        error_message=task.message,
        request_id=task.request_id,
        detail={"code": task.code, "message": task.message, "request_id": task.request_id},
    )


def _unknown(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    """UNKNOWN once may be a hiccup; over UNKNOWN_SECONDS it is lost: its slot is free, it is looked at seldom."""
    if template.state == State.LOST:
        kept = now - (template.sent_at or template.changed_at) < RESULTS_KEPT
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


def _without_id(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    """SUCCEEDED, and no template ID: asked again for a while, then said so rather than holding the slot for a day."""
    if _lasts(template, now):
        _ended(template, replace(task, code="no_template_id"), State.FAILED)
    else:
        _look_again(template, now + _unknown_time() / 5, unknown_since=template.unknown_since or now)


def _lasts(template: ActionTemplate, now: datetime) -> bool:
    """Whether the odd answer has been given for long enough to be believed."""
    return template.unknown_since is not None and now - template.unknown_since >= _unknown_time()


def _still_at_work(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    begun = template.sent_at or template.changed_at
    next_look = now + policy.look_wait(now - begun)
    if template.state == State.LOST or (template.state == State.PENDING and task.status != PENDING_WORD):
        template.move(
            State.RUNNING,
            guard={"task_id": template.task_id},
            next_look_at=next_look,
            unknown_since=None,
            error_code="",
            detail={"word": task.status},
        )
        return
    _look_again(template, next_look, unknown_since=None)


def _look_again(template: ActionTemplate, at: datetime, **values: Any) -> None:
    ActionTemplate.objects.filter(pk=template.pk, state=template.state, task_id=template.task_id).update(
        next_look_at=at, **values
    )
