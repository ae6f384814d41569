"""Stop a template at any point before its task runs.

Where a paid call is under way nothing can be stopped yet: the wish is remembered (``cancel_wanted_at``), and whoever
learns what became of the call carries it out (``carry_out_cancel``).
"""

import logging
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from templategen.actions.errors import NotPossibleError, ServiceTroubleError
from templategen.actions.queue import ring
from templategen.actions.undecided import require_for_a_person, unusable_key
from templategen.actions.upload import cancel_upload
from templategen.clients.build import dashscope
from templategen.clients.dashscope import (
    CANCELED_WORD,
    FAILED_WORD,
    PENDING_WORD,
    UNKNOWN_WORD,
    DashScopeError,
    RefusedError,
    Task,
    UnusableKeyError,
)
from templategen.models import ActionTemplate, Event
from templategen.policy import Verdict, verdict
from templategen.states import CANCELABLE, FOR_A_PERSON, State

logger = logging.getLogger(__name__)

# Nothing in the trash begins anything that would be billed.
_KEPT: dict[str, Any] = {"deleted_at": None}
# A row may move on while somebody decides: looked at again so often.
_TRIES = 4
_LATE = "cancel.late"
# Neither canceled nor begun, or the service does not say (it may not know a task yet that it has just made): the wish
# stays until it does.
_UNDECIDED = frozenset({PENDING_WORD, UNKNOWN_WORD, ""})


def cancel(template: ActionTemplate, *, by: User | None) -> bool:
    """Stop it before anything runs. True: it is canceled. False: the wish is remembered, and done as soon as it can be.

    Raises NotPossibleError (it runs already, or has ended), ServiceTroubleError. Afterwards the object has the row's
    state.
    """
    for _try in range(_TRIES):
        done = _cancel_now(template, by=by)
        if done is not None:
            return done
        template.refresh_from_db()
    raise NotPossibleError("changed", _("It has changed meanwhile. Look at its present state and decide again."))


def _cancel_now(template: ActionTemplate, *, by: User | None) -> bool | None:
    """As ``cancel``; None when the row has changed meanwhile."""
    state = State(template.state)
    if state == State.CANCELED:
        return True
    if state not in CANCELABLE:
        raise _too_late()
    if state == State.UPLOADING:
        cancel_upload(template, by=by)
        return True
    if state == State.PENDING:
        return _cancel_task(template, by=by)
    if state == State.UNCONFIRMED and template.error_code == FOR_A_PERSON:
        require_for_a_person(template)
        guard = {**_KEPT, "error_code": FOR_A_PERSON}
        return True if template.move(State.CANCELED, by=by, guard=guard, error_code="given_up") else None
    if state == State.UNCONFIRMED or (state == State.SUBMITTING and template.sent_at is not None):
        return _remember(template, by=by)
    # CHECKING, QUEUED, and SUBMITTING before its call: whoever is at it finds the row gone from its state.
    guard = {**_KEPT, "sent_at": None} if state == State.SUBMITTING else _KEPT
    return True if template.move(State.CANCELED, by=by, guard=guard, error_code="", error_message="") else None


def _remember(template: ActionTemplate, *, by: User | None) -> bool | None:
    """False once the wish is on the row; None when the row is no longer as it was."""
    now = timezone.now()
    with transaction.atomic():
        same = ActionTemplate.objects.filter(pk=template.pk, state=template.state, claim_token=template.claim_token)
        if not same.exclude(error_code=FOR_A_PERSON).update(
            cancel_wanted_at=now, version=F("version") + 1, changed_at=now
        ):
            return None
        if template.cancel_wanted_at is None:
            Event.objects.create(
                template=template, kind=Event.Kind.CANCEL_WANTED, by=by, attempt=template.attempt, at=now
            )
        if template.state == State.PENDING:
            ring("cancel", template_pk=template.pk)
    template.cancel_wanted_at = now
    return False


def _too_late() -> NotPossibleError:
    return NotPossibleError(
        _LATE, _("It can no longer be canceled. Look at its present state; what is being made is also billed.")
    )


def _cancel_task(template: ActionTemplate, *, by: User | None) -> bool | None:
    """Take a task out of Alibaba's line: what the service then says of it is what the row becomes."""
    task = _ask_to_cancel(template)
    if task.status == CANCELED_WORD:
        return True if _canceled(template, by=by) else None
    if task.status in _UNDECIDED:
        return _remember(template, by=by)
    if _see(template, task):
        text = _("Alibaba has begun with it, so it can no longer be canceled. Wait for the result.")
    else:
        text = _("Alibaba has ended it already, so there is nothing to cancel. What became of it shows in a moment.")
    raise NotPossibleError("cancel.begun", text)


def _ask_to_cancel(template: ActionTemplate) -> Task:
    """The task as it is after it was asked for: no other answer is believed. Raises ServiceTroubleError."""
    taken = False
    try:
        client = dashscope(template.credential_id)
    except UnusableKeyError as problem:
        raise unusable_key() from problem
    try:
        client.cancel_task(template.task_id)
        taken = True
    except DashScopeError as problem:
        logger.warning("cancel not taken", extra={"template": template.public_id, "problem": str(problem)})
        if isinstance(problem, RefusedError) and verdict(problem) is Verdict.PAUSE:
            raise _trouble() from problem
    try:
        return client.get_task(template.task_id)
    except DashScopeError as problem:
        if taken:
            # Whether it is canceled is asked again.
            return Task(template.task_id, UNKNOWN_WORD)
        raise _trouble() from problem


def _trouble() -> ServiceTroubleError:
    return ServiceTroubleError(
        "dashscope", _("Alibaba did not answer, so it is not known whether it is canceled. Try again in a moment.")
    )


def _canceled(template: ActionTemplate, *, by: User | None) -> bool:
    # Also from the trash: at the service it is so already.
    return template.move(
        State.CANCELED,
        by=by,
        guard={"task_id": template.task_id},
        cancel_wanted_at=None,
        error_code="",
        error_message="",
    )


def _see(template: ActionTemplate, task: Task) -> bool:
    """It was too late: RUNNING (and said so on the row), or left to the next look, now. Whether it runs."""
    now = timezone.now()
    same = ActionTemplate.objects.filter(pk=template.pk, state=State.PENDING, task_id=template.task_id)
    same.update(next_look_at=now, cancel_wanted_at=None, version=F("version") + 1)
    if task.status == FAILED_WORD or task.succeeded:
        # An end is recorded by the look alone, which knows what goes with it.
        return False
    template.move(State.RUNNING, guard={"task_id": template.task_id}, error_code=_LATE, detail={"word": task.status})
    return True


def carry_out_cancel(*, template_pk: int) -> None:
    """Do what somebody wanted while a call was under way. Nothing where nobody wants it, or where it has ended."""
    template = ActionTemplate.objects.select_related("clip").get(pk=template_pk)
    if template.cancel_wanted_at is None or template.state != State.PENDING:
        return
    wish = template.events.filter(kind=Event.Kind.CANCEL_WANTED).order_by("-pk").first()
    try:
        task = _ask_to_cancel(template)
    except ServiceTroubleError:
        # The sweep rings again.
        return
    if task.status == CANCELED_WORD:
        _canceled(template, by=wish.by if wish else None)
    elif task.status not in _UNDECIDED:
        _see(template, task)
