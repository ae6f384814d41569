"""A template's way: check → submit → watch → finish. Each step is claim (committed), call (no transaction), record.

A step may be begun twice (the queue delivers at least once) or die in the middle: the claim decides who goes on, and
the conductor's sweep finds rows whose claim ran out. The paid call goes out at most once for each claim.
"""

import logging
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from templategen import policy
from templategen.clients.build import dashscope, storage
from templategen.clients.dashscope import (
    CANCELED_WORD,
    FAILED_WORD,
    PENDING_WORD,
    UNKNOWN_WORD,
    DashScopeError,
    NeverSentError,
    RefusedError,
    Task,
    UnknownOutcomeError,
)  # fmt: skip
from templategen.clients.storage import ObjectGoneError, StorageError, random_key
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import State
from templategen.video.probe import Probe, probe
from templategen.video.source import ObjectSource, SourceError

logger = logging.getLogger(__name__)

# Longer than the check may take (probe's limit, range reads, poster), shorter than anybody wants to wait.
CHECK_LEASE = timedelta(seconds=90)
# Times a check is begun before it is given up: bytes that kill the worker each time must not do so for ever.
CHECK_TRIES = 5
# How long a task may be UNKNOWN before it counts as lost: the word is also given for a passing trouble.
LOST_AFTER = timedelta(minutes=10)
# A lost one is looked at for as long as the service keeps results (about 24 hours, docs/alibaba.md 3.1).
RESULTS_KEPT = timedelta(hours=25)
_LOST_LOOK, _NEVER = timedelta(minutes=15), timedelta(days=3650)
# OSS not giving the bytes is nobody's fault: the check waits, it does not count.
_STORAGE_WAIT = timedelta(seconds=30)


# --- Check ----------------------------------------------------------------------------------------------------------


def check(*, template_pk: int) -> None:
    """Probe the stored clip by range reads, make its poster, and move to QUEUED or BLOCKED."""
    template = _claim_check(template_pk)
    if template is None:
        return
    if template.step_tries > CHECK_TRIES:
        _block(template, code="check.given_up")
        return
    clip = template.clip
    try:
        result = probe(_object_source(clip))
        poster_key = _store_poster(result)
    except ObjectGoneError:
        _block(template, code="clip.gone")
    except (SourceError, StorageError) as problem:
        _check_later(template, problem)
    else:
        _record_check(template, result, poster_key=poster_key)


def _claim_check(template_pk: int) -> ActionTemplate | None:
    """The row, if it is to be checked and nobody is at it. The tries are counted before the work begins."""
    now, token = timezone.now(), uuid.uuid4().hex
    claimed = ActionTemplate.objects.filter(pk=template_pk, state=State.CHECKING, next_look_at__lte=now).update(
        claim_token=token, claimed_at=now, next_look_at=now + CHECK_LEASE, step_tries=F("step_tries") + 1
    )
    if not claimed:
        return None
    return ActionTemplate.objects.select_related("clip").get(pk=template_pk)


def _object_source(clip: Clip) -> ObjectSource:
    def fetch(start: int, end: int) -> bytes:
        return storage().read_range(clip.object_key, start, end)

    return ObjectSource(clip.size_bytes, fetch)


def _store_poster(result: Probe) -> str:
    if not result.first_frame:
        return ""
    key = random_key("posters", ".webp")
    storage().put(key, result.first_frame, content_type="image/webp")
    return key


def _check_later(template: ActionTemplate, problem: Exception) -> None:
    """OSS did not give the bytes: not the clip's fault, so no try is counted. The sweep rings again in time."""
    logger.warning("check could not read the clip", extra={"template": template.public_id, "problem": repr(problem)})
    ActionTemplate.objects.filter(pk=template.pk, state=State.CHECKING, claim_token=template.claim_token).update(
        next_look_at=timezone.now() + _STORAGE_WAIT,
        step_tries=max(template.step_tries - 1, 0),
        error_code="check.storage",
        version=F("version") + 1,
    )


def _block(template: ActionTemplate, *, code: str) -> None:
    template.move(State.BLOCKED, guard={"claim_token": template.claim_token}, error_code=code, detail={"code": code})


def _record_check(template: ActionTemplate, result: Probe, *, poster_key: str) -> None:
    now = timezone.now()
    findings = [finding.to_dict() for finding in result.findings]
    broken = [finding.rule for finding in result.findings if finding.verdict == "fail"]
    guard = {"claim_token": template.claim_token}
    with transaction.atomic():
        if result.ok:
            won = template.move(
                State.QUEUED, guard=guard, queued_at=now, next_look_at=now, step_tries=0, error_code="", claim_token=""
            )
        else:
            won = template.move(State.BLOCKED, guard=guard, error_code="limits", detail={"rules": broken})
        if won:
            Clip.objects.filter(pk=template.clip_id).update(
                facts=result.facts.to_dict() if result.facts else {},
                findings=findings,
                duration_s=result.facts.duration_s if result.facts else None,
                poster_key=poster_key,
                passed=result.ok,
                checked_at=now,
            )
    # The poster of an earlier check, or of this one where another was first.
    unused = template.clip.poster_key if won else poster_key
    if unused:
        storage().delete(unused)


# --- Submit ----------------------------------------------------------------------------------------------------------


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
    if _adopt(template, token, task, moved_by="answer"):
        return
    # This process was away for so long that the sweep took it for dead: the answer came all the same.
    template.refresh_from_db()
    if template.state == State.UNCONFIRMED and _adopt(template, token, task, moved_by="late answer"):
        return
    # A person was faster. The task is ours and stays known for ours.
    logger.error("task without a row", extra={"template": template.public_id, "task_id": task.task_id})
    note_task(template, task.task_id, request_id=task.request_id)


def _adopt(template: ActionTemplate, token: str, task: Task, *, moved_by: str) -> bool:
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


# --- Watch ------------------------------------------------------------------------------------------------------------


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
    """UNKNOWN once may be a hiccup; UNKNOWN over LOST_AFTER is lost: its slot is free, and it is looked at seldom."""
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
        _look_again(template, now + LOST_AFTER / 5, unknown_since=template.unknown_since or now)


def _without_id(template: ActionTemplate, task: Task, *, now: datetime) -> None:
    """SUCCEEDED, and no template ID: asked again for a while, then said so rather than holding the slot for a day."""
    if _lasts(template, now):
        _ended(template, replace(task, code="no_template_id"), State.FAILED)
    else:
        _look_again(template, now + LOST_AFTER / 5, unknown_since=template.unknown_since or now)


def _lasts(template: ActionTemplate, now: datetime) -> bool:
    """Whether the odd answer has been given for long enough to be believed."""
    return template.unknown_since is not None and now - template.unknown_since >= LOST_AFTER


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
