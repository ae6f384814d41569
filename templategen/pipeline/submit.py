"""The submit: a claimed template is sent to DashScope once, and what came of it is stored.

Three outcomes (docs/decisions/paid-calls.md): accepted; refused, or provably never sent; unknown. The row is in
SUBMITTING, or already in UNCONFIRMED where this process was so slow that it was taken for dead: what it knows counts
all the same, as long as the row is still this claim's.
"""

import logging
import time
import uuid
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, close_old_connections, transaction
from django.db.models import F, Q
from django.utils import timezone

from templategen import actions, credential_status, sender, tally
from templategen.clients import build
from templategen.clients.build import storage
from templategen.clients.dashscope import (
    DashScope,
    NeverSentError,
    RefusedError,
    Task,
    UnknownOutcomeError,
    UnusableKeyError,
)
from templategen.clients.storage import StorageError
from templategen.credentials import credential_of, learn_owner_with, own_credential
from templategen.models import ActionTemplate, Event, FormerTask
from templategen.policy import Verdict, settle_time
from templategen.states import CLIP_CHANGED, FOR_A_PERSON, State

logger = logging.getLogger(__name__)

# What a call told us exists nowhere else: a database that is away is waited for, in seconds.
_PAUSES = (0.2, 1.0, 3.0, 8.0)
# A claim that took longer than this until its call was frozen in between: it calls no more, in seconds.
_FRESH_FOR = 20.0
_AGAIN = "fresh address"
# Where OSS does not tell of the clip just before the call.
_STORAGE_WAIT = timedelta(seconds=30)
_NO_CLAIM: dict[str, Any] = {"claim_token": "", "claimed_by": "", "sent_at": None, "call_over_at": None, "search": {}}


def claim_submit(template: ActionTemplate, *, now: datetime) -> str | None:
    """QUEUED → SUBMITTING for one launch; its token, or None when another was first."""
    token = uuid.uuid4().hex
    won = template.move(
        State.SUBMITTING,
        **_NO_CLAIM
        | {"claim_token": token, "claimed_at": now, "credential_id": credential_of(template.account_id)}
        | {"found": [], "rung_at": None, "submit_request_id": "", "error_code": "", "error_message": ""},
    )
    return token if won else None


def launch(*, template_pk: int, token: str) -> None:
    """The paid call, once for each claim: ``sent_at`` is set and committed before it, by whoever comes first.

    What is paid for is what was checked: another object under the same key is noticed here, and never sent.
    """
    mine = ActionTemplate.objects.filter(pk=template_pk, state=State.SUBMITTING, claim_token=token, sent_at=None)
    template = mine.select_related("clip").first()
    if template is None:
        logger.info("stale launch left alone", extra={"template_pk": template_pk})
        return
    if not _is_what_was_checked(template, token):
        return
    client = _client(template, token)
    if client is None:
        return
    made_with = build.fingerprint(template.credential_id)
    url = storage().sign_get(template.clip.object_key, seconds=settings.TASK_URL_SECONDS)
    begun, now = _awake(), timezone.now()
    # Not where its key was replaced or removed in this moment: the claim is given back as one that never began.
    with_its_key = mine.alias(own=own_credential()).filter(Q(own=template.credential_id))
    begin = {"sent_at": now, "claimed_by": sender.me()}
    try:
        begun_here = with_its_key.update(**begin, made_with_fingerprint=made_with)
    except DatabaseError:
        # Written or not: this process does not call, and says so where it can.
        _outcome("never sent", partial(_give_back, template, token, code="", begun=begin))
        raise
    if not begun_here:
        logger.info("stale launch left alone", extra={"template_pk": template_pk})
        return
    template.sent_at = now
    if _awake() - begun > _FRESH_FOR:
        _outcome(
            "never sent", partial(_never_sent, template, token, message="this process was stopped before the call")
        )
        return
    _call(template, token, partial(client.submit_template, video_url=url))
    if template.credential_id is not None:
        # A list that has a task says whose it is; of the site's key the day's housekeeping asks.
        learn_owner_with(template.credential_id)


def _client(template: ActionTemplate, token: str) -> DashScope | None:
    """The view with the claim's key; None where the claim ends here. No other key ever takes its place: another would
    be billed."""
    if template.credential_id != credential_of(template.account_id):
        # Replaced or removed since the claim: the owner wants nothing billed to it any more.
        _give_back(template, token, code="")
        return None
    try:
        return build.dashscope(template.credential_id)
    except UnusableKeyError as problem:
        credential_status.pause(template.credential_id, code=problem.code, message="")
        _give_back(template, token, code=problem.code)
        return None


def _give_back(template: ActionTemplate, token: str, *, code: str, begun: dict[str, Any] | None = None) -> None:
    """Before the call: it has its old place in line, or ends where somebody wanted it stopped.

    ``begun``: the very call that its process has begun and not made.
    """
    guard: dict[str, Any] = {"claim_token": token, **(begun or {"sent_at": None})}
    values: dict[str, Any] = {**_NO_CLAIM, "error_message": "", "detail": {"code": code}}
    waits: dict[str, Any] = {"next_look_at": timezone.now(), "error_code": code}
    if not template.move(State.QUEUED, guard={**guard, "cancel_wanted_at": None}, **values, **waits):
        template.move(State.CANCELED, guard=guard, cancel_wanted_at=None, error_code="", **values)


def _call(template: ActionTemplate, token: str, submit: Callable[[], Task]) -> None:
    """Make the paid call, and store what came of it, whatever that is."""
    try:
        task = submit()
    except NeverSentError as problem:
        _outcome("never sent", partial(_never_sent, template, token, message=str(problem)))
    except RefusedError as problem:
        _outcome(problem.code or str(problem.status), partial(_refused, template, token, problem))
    except BaseException as problem:
        # Also when this process is told to stop in the middle of it: what it knows is that it sends no more.
        request_id = problem.request_id if isinstance(problem, UnknownOutcomeError) else ""
        message = str(problem) or type(problem).__name__
        logger.warning("submit without an answer", extra={"template": template.public_id, "problem": message})
        store = partial(mark_unconfirmed, template, token, message=message, request_id=request_id, over=True)
        _outcome("unknown", store)
        if not isinstance(problem, UnknownOutcomeError):
            raise
        if problem.retry_after is not None:
            credential_status.hold_submits(template.credential_id, retry_after=problem.retry_after)
    else:
        # Paid for and nowhere else: it is in the log before the database is asked for anything.
        logger.info("submitted", extra={"template": template.public_id, "task_id": task.task_id})
        _outcome("accepted", partial(_submitted, template, token, task, sent=copy(template)))


def _is_what_was_checked(template: ActionTemplate, token: str) -> bool:
    """Whether the stored object has the ETag and CRC64 that it had before its check; else the claim ends here."""
    clip = template.clip
    try:
        seen = storage().head(clip.object_key)
    except StorageError as problem:
        logger.warning("clip not looked at", extra={"template": template.public_id, "code": problem.code})
        later = timezone.now() + _STORAGE_WAIT
        _end_claim(template, token, State.QUEUED, code="clip.unread", next_look_at=later, **_NO_CLAIM)
        return False
    if seen is None:
        _end_claim(template, token, State.FAILED, code="clip.gone")
        return False
    # Of clips from before these were kept nothing is known.
    if (clip.etag and seen.etag != clip.etag) or (clip.crc64 and seen.crc64 != clip.crc64):
        logger.error("another object than was checked", extra={"template": template.public_id})
        _end_claim(template, token, State.FAILED, code=CLIP_CHANGED)
        return False
    return True


def _end_claim(template: ActionTemplate, token: str, to: State, *, code: str, **values: Any) -> None:
    """Before the call; nothing happens where another launch of the same claim has begun it."""
    guard = {"claim_token": token, "sent_at": None}
    template.move(to, guard=guard, error_code=code, error_message="", detail={"code": code}, **values)


def _awake() -> float:
    """Seconds on a clock that no one sets and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _outcome(label: str, store: Callable[[], object]) -> None:
    """Store what came of the call, however long the database takes to come back (within half the job's time)."""
    for pause in (*_PAUSES, None):
        try:
            store()
            break
        except DatabaseError:
            if pause is None:
                raise
            logger.exception("outcome of a submit not stored yet")
            time.sleep(pause)
            close_old_connections()
    tally.count("submits", label)
    try:
        tally.flush()
    except DatabaseError:
        logger.warning("tally not written")


def _submitted(template: ActionTemplate, token: str, task: Task, *, sent: ActionTemplate) -> None:
    """``sent`` is the row as it was sent: by now it may be in another attempt, with another key."""
    try:
        stored = adopt(template, token, task)
    except IntegrityError:
        # A person gave this task to another template while the answer was under way.
        logger.exception("task of another row", extra={"template": template.public_id, "task_id": task.task_id})
        _leave_to_a_person(template, token, task)
        return
    # Or it is so already: stored by an earlier try, or found in the list while this process slept.
    if stored or template.task_id == task.task_id:
        credential_status.went_well(template.credential_id, begun_at=template.sent_at)
        actions.carry_out_cancel(template_pk=template.pk)
        return
    # A person was faster. The task is ours and stays known for ours.
    logger.error("task without a row", extra={"template": template.public_id, "task_id": task.task_id})
    note_task(sent, task.task_id, request_id=task.request_id)


def adopt(template: ActionTemplate, token: str, task: Task) -> bool:
    """The claim's task is known: watch it. False when the row is no longer this claim's."""
    return _resolve(
        template,
        token,
        State.PENDING,
        task_id=task.task_id,
        submit_request_id=task.request_id,
        next_look_at=timezone.now(),
        step_tries=0,
        found=[],
        search={},
        error_code="",
        error_message="",
        detail={"request_id": task.request_id, "by": "answer"},
    )


def _leave_to_a_person(template: ActionTemplate, token: str, task: Task) -> None:
    """Its task was made, and another row has it: whose it is nobody can tell but a person; never sent again."""
    with transaction.atomic():
        note_task(template, task.task_id, request_id=task.request_id)
        template.refresh_from_db()
        if template.state == State.SUBMITTING:
            mark_unconfirmed(template, token, message="task of another template", request_id=task.request_id, over=True)
        same = ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED, claim_token=token)
        found = [{"task_id": task.task_id, "status": task.status, "made_at": "", "request_id": task.request_id}]
        same.update(error_code=FOR_A_PERSON, found=found, search={}, cancel_wanted_at=None, version=F("version") + 1)


def note_task(template: ActionTemplate, task_id: str, *, request_id: str) -> None:
    """Remember a task of this template that its row has no place for.

    An Event, where reconciling finds it, and a FormerTask, so that its result is looked for.
    """
    now = timezone.now()
    with transaction.atomic():
        Event.objects.create(
            template=template,
            kind=Event.Kind.TASK_FOUND,
            attempt=template.attempt,
            task_id=task_id,
            detail={"request_id": request_id},
        )
        FormerTask.objects.keep(template, task_id, attempt=template.attempt, known_at=now, now=now)


def _never_sent(template: ActionTemplate, token: str, *, message: str) -> None:
    """No connection was made: the credential waits, or every template in line would try the same in turn."""
    credential_status.hold_submits(template.credential_id, retry_after=None)
    _back_in_line(template, token, code="dashscope.unreachable", message=message)


def _refused(template: ActionTemplate, token: str, problem: RefusedError) -> None:
    """Nothing was made, unless the code is one of the service's own failure: then it is as good as no answer."""
    detail = {"code": problem.code, "message": problem.message, "request_id": problem.request_id}
    logger.warning(
        "submit refused", extra={"template": template.public_id, **{k: detail[k] for k in ("code", "request_id")}}
    )
    found = credential_status.refused(template.credential_id, problem)
    if found is Verdict.PERSON:
        mark_unconfirmed(template, token, message=problem.code, request_id=problem.request_id, over=True)
    elif found in {Verdict.LATER, Verdict.PAUSE}:
        _back_in_line(template, token, code=problem.code, message=problem.message)
    elif found is Verdict.NOW and not _had_fresh_address(template):
        _back_in_line(template, token, code=problem.code, message=problem.message, decision=_AGAIN)
    else:
        _resolve(
            template,
            token,
            State.FAILED,
            error_code=problem.code or "failed",
            error_message=problem.message,
            request_id=problem.request_id,
            cancel_wanted_at=None,
            detail=detail,
        )


def _had_fresh_address(template: ActionTemplate) -> bool:
    return template.events.filter(attempt=template.attempt, to=State.QUEUED, detail__decision=_AGAIN).exists()


def _back_in_line(template: ActionTemplate, token: str, *, code: str, message: str, decision: str = "") -> None:
    """Nothing was made: it has its old place in line (``queued_at``), or ends where somebody wanted it stopped."""
    detail = {"code": code, "message": message} | ({"decision": decision} if decision else {})
    values: dict[str, Any] = {
        **_NO_CLAIM,
        "step_tries": template.step_tries + 1,
        "next_look_at": timezone.now(),
        "error_code": code,
        "error_message": message,
    }
    if not _resolve(template, token, State.QUEUED, guard={"cancel_wanted_at": None}, detail=detail, **values):
        wanted = {**_NO_CLAIM, "cancel_wanted_at": None, "error_code": "", "error_message": ""}
        _resolve(template, token, State.CANCELED, detail=detail, **wanted)


def mark_unconfirmed(
    template: ActionTemplate, token: str, *, message: str, request_id: str = "", over: bool = False
) -> bool:
    """The call may have been made, nobody knows: it is looked for in the task list (reconcile.py).

    ``over``: the caller is the sender itself, or knows that it is gone: nothing is sent any more.
    """
    now = timezone.now()
    known: dict[str, Any] = {"call_over_at": now} if over else {}
    if request_id:
        known["submit_request_id"] = request_id
    won = template.move(
        State.UNCONFIRMED,
        guard={"claim_token": token},
        error_code="unconfirmed",
        error_message=message,
        next_look_at=now + settle_time() / 20,
        search={},
        detail={"message": message, "request_id": request_id},
        **known,
    )
    if not won and known:
        # Taken for dead meanwhile: what the sender knows helps the search on.
        same = ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED, claim_token=token)
        same.update(version=F("version") + 1, **known)
    return won


def _resolve(
    template: ActionTemplate, token: str, to: State, *, guard: dict[str, Any] | None = None, **values: Any
) -> bool:
    """Move the claim's row on from SUBMITTING or, meanwhile, UNCONFIRMED; False when it is no longer there."""
    for _try in range(3):
        if template.state in {State.SUBMITTING, State.UNCONFIRMED} and template.move(
            to, guard={"claim_token": token, **(guard or {})}, **values
        ):
            return True
        template.refresh_from_db()
        if template.claim_token != token:
            return False
    return False
