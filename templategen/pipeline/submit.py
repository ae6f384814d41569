"""The submit: a claimed template is sent to DashScope once, and what came of it is stored."""

import logging
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from templategen import policy
from templategen.clients.build import dashscope, storage
from templategen.clients.dashscope import NeverSentError, RefusedError, Task, UnknownOutcomeError
from templategen.models import ActionTemplate, Event
from templategen.states import State

logger = logging.getLogger(__name__)


def claim_submit(template: ActionTemplate, *, now: datetime) -> str | None:
    """QUEUED → SUBMITTING for one launch; its token, or None when another was first."""
    token = uuid.uuid4().hex
    won = template.move(
        State.SUBMITTING, claim_token=token, claimed_at=now, sent_at=None, error_code="", error_message=""
    )
    return token if won else None


def launch(*, template_pk: int, token: str) -> None:
    """The paid call, once for each claim: ``sent_at`` is set and committed before it, by whoever comes first."""
    now = timezone.now()
    mine = ActionTemplate.objects.filter(
        pk=template_pk, state=State.SUBMITTING, claim_token=token, sent_at=None
    ).update(sent_at=now)
    if not mine:
        logger.info("stale launch left alone", extra={"template_pk": template_pk})
        return
    template = ActionTemplate.objects.select_related("clip").get(pk=template_pk)
    url = storage().sign_get(template.clip.object_key, seconds=settings.TASK_URL_SECONDS)
    try:
        task = dashscope().submit_template(video_url=url)
    except NeverSentError as problem:
        _back_in_line(template, token, code="dashscope.unreachable", message=str(problem), wait=policy.UNREACHABLE_WAIT)
    except RefusedError as problem:
        _refused(template, token, problem)
    except UnknownOutcomeError as problem:
        logger.warning("submit without an answer", extra={"template": template.public_id, "problem": str(problem)})
        mark_unconfirmed(template, token, message=str(problem))
    else:
        _submitted(template, token, task)


def _submitted(template: ActionTemplate, token: str, task: Task) -> None:
    """Store the task ID: paid for and nowhere else. It is in the log before the database is asked for anything."""
    logger.info("submitted", extra={"template": template.public_id, "task_id": task.task_id})
    if adopt(template, token, task, moved_by="answer"):
        return
    # This process was away for so long that the sweep took it for dead: the answer came all the same.
    template.refresh_from_db()
    if template.state == State.UNCONFIRMED and adopt(template, token, task, moved_by="late answer"):
        return
    # A person was faster. The task is ours and stays known for ours.
    logger.error("task without a row", extra={"template": template.public_id, "task_id": task.task_id})
    note_task(template, task.task_id, request_id=task.request_id)


def adopt(template: ActionTemplate, token: str, task: Task, *, moved_by: str) -> bool:
    """The claim's task is known: watch it. False when the row is no longer this claim's."""
    return template.move(
        State.PENDING,
        guard={"claim_token": token},
        task_id=task.task_id,
        submit_request_id=task.request_id,
        next_look_at=timezone.now() + policy.look_wait(timedelta()),
        step_tries=0,
        error_code="",
        error_message="",
        detail={"request_id": task.request_id, "by": moved_by},
    )


def note_task(template: ActionTemplate, task_id: str, *, request_id: str) -> None:
    """Remember a task of this template that its row has no place for: an Event, where reconciling finds it."""
    Event.objects.create(
        template=template,
        kind=Event.Kind.TASK_FOUND,
        attempt=template.attempt,
        task_id=task_id,
        detail={"request_id": request_id},
    )


def _refused(template: ActionTemplate, token: str, problem: RefusedError) -> None:
    """Nothing was made. A passing cause, or one that the site's administrator mends, goes back into the line."""
    detail = {"code": problem.code, "message": problem.message, "request_id": problem.request_id}
    logger.warning(
        "submit refused", extra={"template": template.public_id, **{k: detail[k] for k in ("code", "request_id")}}
    )
    wait = policy.wait_after_refusal(problem, tries=template.step_tries)
    if wait is not None:
        _back_in_line(template, token, code=problem.code, message=problem.message, wait=wait)
        return
    template.move(
        State.FAILED,
        guard={"claim_token": token},
        error_code=problem.code,
        error_message=problem.message,
        request_id=problem.request_id,
        detail=detail,
    )


def _back_in_line(template: ActionTemplate, token: str, *, code: str, message: str, wait: timedelta) -> None:
    template.move(
        State.QUEUED,
        guard={"claim_token": token},
        claim_token="",
        sent_at=None,
        step_tries=template.step_tries + 1,
        next_look_at=timezone.now() + wait,
        error_code=code,
        error_message=message,
        detail={"code": code, "message": message},
    )


def mark_unconfirmed(template: ActionTemplate, token: str, *, message: str) -> bool:
    """The call may have been made, nobody knows. Never sent again by the machine: looked for, or left to a person."""
    return template.move(
        State.UNCONFIRMED,
        guard={"claim_token": token},
        error_code="unconfirmed",
        error_message=message,
        next_look_at=timezone.now() + policy.SETTLE_WAIT,
        detail={"message": message},
    )
