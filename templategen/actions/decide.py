"""What a person decides about a template: cancel, retry, rename, delete, restore."""

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from templategen.actions.errors import NotPossibleError, RefusedError, ServiceTroubleError
from templategen.actions.names import clean_name
from templategen.actions.queue import ring
from templategen.actions.upload import cancel_upload
from templategen.clients.build import dashscope
from templategen.clients.dashscope import DashScopeError
from templategen.clients.dashscope import RefusedError as TaskRefusedError
from templategen.models import ActionTemplate, Event
from templategen.policy import SKEW
from templategen.states import CANCELABLE, DELETABLE, FOR_A_PERSON, RETRYABLE, UNDECIDED, State

# Nothing in the trash begins anything that would be billed.
_KEPT: dict[str, Any] = {"deleted_at": None}
# What a new attempt begins with.
_FRESH: dict[str, Any] = {
    "claim_token": "", "claimed_at": None, "step_tries": 0, "sent_at": None, "task_id": "", "submit_request_id": "",
    "unknown_since": None, "request_id": "", "error_code": "", "error_message": "",
}  # fmt: skip


def _lost_race() -> NotPossibleError:
    return NotPossibleError("changed", _("It has changed meanwhile. Look at its present state and decide again."))


def cancel(template: ActionTemplate, *, by: User | None) -> None:
    """Stop it where nothing has begun that would be paid for. Raises NotPossibleError, ServiceTroubleError."""
    state = State(template.state)
    if state == State.CANCELED:
        return
    if state == State.UNCONFIRMED:
        _require_for_a_person(template)
    elif state in {State.CHECKING, State.SUBMITTING}:
        raise NotPossibleError("cancel.now", _("It is just being worked on. Try again in a moment."))
    elif state not in CANCELABLE:
        raise NotPossibleError(
            "cancel.late",
            _("It can no longer be canceled. Look at its present state; what is being made is also billed."),
        )
    if state == State.UPLOADING:
        cancel_upload(template, by=by)
        return
    if state == State.PENDING:
        _cancel_task(template)
    given_up: dict[str, Any] = {"error_code": "given_up"} if state == State.UNCONFIRMED else {}
    if not template.move(State.CANCELED, by=by, guard=_KEPT, **given_up):
        template.refresh_from_db()
        if template.state != State.CANCELED:
            raise _lost_race()


def _cancel_task(template: ActionTemplate) -> None:
    try:
        dashscope().cancel_task(template.task_id)
    except TaskRefusedError as problem:
        raise NotPossibleError(
            "cancel.begun",
            _("Alibaba has begun with it (%(code)s), so it can no longer be canceled. Wait for the result.")
            % {"code": problem.code},
        ) from problem
    except DashScopeError as problem:
        raise ServiceTroubleError(
            "dashscope", _("Alibaba did not answer, so it is not known whether it is canceled. Try again in a moment.")
        ) from problem


def _require_for_a_person(template: ActionTemplate) -> None:
    """Nobody decides while the machine still looks for the answer: both would act on it.

    Nor so soon that its task could be taken for that of the next one without an answer (reconcile.py).
    """
    early = template.sent_at is not None and timezone.now() - template.sent_at < 2 * SKEW
    if template.error_code != FOR_A_PERSON or early:
        raise NotPossibleError(
            "unconfirmed.looking",
            _("Alibaba's list of tasks is still being looked through. Wait some minutes, then decide."),
        )


def retry(template: ActionTemplate, *, by: User | None) -> None:
    """A new attempt with the same clip, or a new check where the check could not be done. Raises NotPossibleError."""
    if template.state not in RETRYABLE:
        raise NotPossibleError(
            "retry.state", _("It cannot be tried again in its present state. Reload the page to see what it is.")
        )
    if template.clip.stored_at is None:
        raise NotPossibleError("retry.no_clip", _("Its video was never stored. Upload it again."))
    now = timezone.now()
    if template.state == State.BLOCKED:
        _check_again(template, by=by)
        return
    with transaction.atomic():
        won = template.move(
            State.QUEUED,
            by=by,
            guard=_KEPT,
            **_FRESH,
            attempt=template.attempt + 1,
            queued_at=now,
            next_look_at=now,
        )
    if not won:
        raise _lost_race()


def _check_again(template: ActionTemplate, *, by: User | None) -> None:
    if template.error_code == "limits":
        raise NotPossibleError(
            "retry.limits", _("The video itself breaks a limit; trying again would end the same. Upload a mended one.")
        )
    with transaction.atomic():
        if not template.move(State.CHECKING, by=by, guard=_KEPT, **_FRESH, next_look_at=timezone.now()):
            raise _lost_race()
        ring("check", template_pk=template.pk)


def resubmit(template: ActionTemplate, *, by: User | None) -> None:
    """Send an unconfirmed template again by a person's decision: it may be paid for twice."""
    if template.state not in UNDECIDED:
        raise NotPossibleError("resubmit.state", _("Only an unconfirmed template can be sent again like this."))
    _require_for_a_person(template)
    now = timezone.now()
    if not template.move(
        State.QUEUED,
        by=by,
        guard={**_KEPT, "error_code": FOR_A_PERSON},
        **_FRESH,
        attempt=template.attempt + 1,
        queued_at=now,
        next_look_at=now,
        detail={"decision": "sent again"},
    ):
        raise _lost_race()


def rename(template: ActionTemplate, *, name: str, by: User | None) -> None:
    """Give it another name. Raises RefusedError for an empty one."""
    name = clean_name(name)
    if not name:
        raise RefusedError("name.empty", _("A name needs at least one visible character."))
    if name == template.name:
        return
    old, template.name = template.name, name
    with transaction.atomic():
        ActionTemplate.objects.filter(pk=template.pk).update(name=name, version=F("version") + 1)
        template.index_words()
        Event.objects.create(
            template=template,
            kind=Event.Kind.RENAMED,
            by=by,
            attempt=template.attempt,
            detail={"old": old, "new": name},
        )


def delete(template: ActionTemplate, *, by: User | None) -> None:
    """Put it into the trash; the sweep removes it and its video after TRASH_DAYS. Raises NotPossibleError.

    The template at Alibaba stays: there is no call to delete one (alibaba.md 8).
    """
    now = timezone.now()
    with transaction.atomic():
        gone = ActionTemplate.objects.filter(pk=template.pk, state__in=DELETABLE, deleted_at=None).update(
            deleted_at=now, version=F("version") + 1
        )
        if gone:
            Event.objects.create(template=template, kind=Event.Kind.DELETED, by=by, attempt=template.attempt)
    if not gone:
        raise NotPossibleError(
            "delete.busy", _("It is still at work, and its ID would be lost. Cancel it or wait for the result.")
        )
    template.deleted_at = now


def restore(template: ActionTemplate, *, by: User | None) -> None:
    """Take it out of the trash. Raises NotPossibleError for an upload that was never finished."""
    if template.clip.stored_at is None:
        raise NotPossibleError("restore.no_clip", _("Its video was never stored. Upload it again."))
    with transaction.atomic():
        back = ActionTemplate.objects.filter(pk=template.pk).exclude(deleted_at=None)
        if back.update(deleted_at=None, version=F("version") + 1):
            Event.objects.create(template=template, kind=Event.Kind.RESTORED, by=by, attempt=template.attempt)
    template.deleted_at = None
