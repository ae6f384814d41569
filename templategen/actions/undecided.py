"""What a person decides about a task that the machine cannot tell: it is this one, send it again, look once more, or
nobody will ever read what became of it."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.ledger import OverLimitError
from accounts.models import User
from templategen.actions.errors import NotPossibleError, RefusedError, ServiceTroubleError
from templategen.actions.quota import over_quota
from templategen.clients.build import dashscope
from templategen.clients.dashscope import UNKNOWN_WORD, DashScopeError, Task, UnusableKeyError
from templategen.models import ActionTemplate, Event, FormerTask
from templategen.policy import RESULTS_KEPT, skew
from templategen.states import FOR_A_PERSON, LOOKED_AT, UNDECIDED, UNREADABLE, WATCHED, State

# What a new attempt begins with.
FRESH: dict[str, Any] = {
    "claim_token": "", "claimed_at": None, "claimed_by": "", "step_tries": 0, "sent_at": None, "call_over_at": None,
    "task_id": "", "submit_request_id": "", "unknown_since": None, "running_at": None, "looked_at": None,
    "ended_at": None, "found": [], "search": {}, "cancel_wanted_at": None, "rung_at": None, "request_id": "",
    "error_code": "", "error_message": "",
}  # fmt: skip
_KEPT: dict[str, Any] = {"deleted_at": None}
# In place of the service's word, for a task that it has thrown away.
_KEPT_RESULT = "kept"
# The service measures a clip in its own way.
_LENGTH_MAY_DIFFER_S = 1.0
# What was laid out for one that was given up may be adopted by nobody else for so long: then the list forgets it.
_GIVEN_UP = timedelta(hours=26)
# As it goes into an address: never a slash, nothing that has to be quoted.
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def unusable_key() -> ServiceTroubleError:
    """Only the key that made a task can ask for it."""
    return ServiceTroubleError(
        "credential",
        _("The API key that this task was made with cannot be read at the moment, so Alibaba cannot be asked about it. "
          "Whoever runs the site can mend that."),
    )  # fmt: skip


def lost_race() -> NotPossibleError:
    """Another was faster."""
    return NotPossibleError("changed", _("It has changed meanwhile. Look at its present state and decide again."))


def decidable_from(template: ActionTemplate) -> datetime | None:
    """From when on a person may decide about one that is left to them; None: at any time.

    By the time at which it was left to them where its time of sending is later: a clock was wrong.
    """
    return min(template.sent_at, template.changed_at) + 2 * skew() if template.sent_at is not None else None


def require_for_a_person(template: ActionTemplate) -> None:
    """Nobody decides while the machine still looks for the answer: both would act on it.

    Nor so soon that its task could be taken for that of the next one without an answer (reconcile.py).
    """
    not_before = decidable_from(template)
    early = not_before is not None and timezone.now() < not_before
    if template.error_code != FOR_A_PERSON or early:
        raise NotPossibleError(
            "unconfirmed.looking",
            _("Alibaba's list of tasks is still being looked through. Wait some minutes, then decide."),
        )


def of_others(template: ActionTemplate, task_ids: Iterable[str]) -> set[str]:
    """Those of the tasks that are another account's, or may be: laid out there, too. Four queries.

    Accounts that share a key share its task list; what is another's is shown to nobody but whoever runs the site.
    """
    asked = set(task_ids)
    others = ActionTemplate.objects.exclude(account=template.account_id)
    named: set[str] = set(others.filter(task_id__in=asked).values_list("task_id", flat=True))
    rows = Event.objects.filter(task_id__in=asked).exclude(template__account=template.account_id)
    named |= set(rows.values_list("task_id", flat=True))
    former = FormerTask.objects.filter(task_id__in=asked).exclude(origin__account=template.account_id)
    named |= set(former.values_list("task_id", flat=True))
    given_up = Q(state=State.CANCELED, changed_at__gte=timezone.now() - _GIVEN_UP)
    undecided = others.filter(given_up | Q(state=State.UNCONFIRMED)).exclude(found=[])
    for found in undecided.values_list("found", flat=True):
        named |= {each["task_id"] for each in found if isinstance(each, dict) and each.get("task_id") in asked}
    return named


def adopt(template: ActionTemplate, *, task_id: str, by: User | None, for_the_site: bool = False) -> None:
    """The person says which task at Alibaba is this template's: one of ``template.found``, or an ID typed in.

    ``for_the_site``: decided in the administration, where it is known whose the others' tasks are. For an UNCONFIRMED
    one that is left to a person, and a LOST one. Asked for once with the row's credential; then it
    is watched like any other, and READY at the next look where it has ended. Raises RefusedError (no such ID, another
    template's), NotPossibleError, ServiceTroubleError.
    """
    if template.state not in {State.UNCONFIRMED, State.LOST}:
        raise NotPossibleError("adopt.state", _("Only an unconfirmed or lost template can be given a task."))
    if template.state == State.UNCONFIRMED:
        require_for_a_person(template)
    task_id = task_id.strip()
    if not _TASK_ID.fullmatch(task_id):
        raise RefusedError("adopt.task_id", _("This is no task ID. Copy it whole from Alibaba's console."))
    _require_free(template, task_id)
    if not for_the_site and of_others(template, [task_id]):
        raise RefusedError(
            "adopt.shared",
            _("This task may be another account's that uses the same API key. Whoever runs the site decides."),
        )
    task = _with_kept_result(template, _ask(template, task_id), task_id)
    _require_known(task)
    _require_its_length(template, task)
    start = State(template.state)
    guard = {**_KEPT, "task_id": template.task_id}
    if start == State.UNCONFIRMED:
        guard["error_code"] = FOR_A_PERSON
    now = timezone.now()
    try:
        with transaction.atomic():
            won = template.move(
                State.PENDING if start == State.UNCONFIRMED else State.RUNNING,
                by=by,
                guard=guard,
                task_id=task_id,
                next_look_at=now,
                unknown_since=None,
                found=[],
                search={},
                error_code="",
                error_message="",
                detail={"decision": "adopted"},
            )
            if won and task.status == _KEPT_RESULT:
                _take_result(template, task)
    except IntegrityError as problem:
        raise _taken() from problem
    if not won:
        raise lost_race()


def _require_free(template: ActionTemplate, task_id: str) -> None:
    others = Event.objects.filter(task_id=task_id).exclude(template=template)
    if others.exists() or ActionTemplate.objects.filter(task_id=task_id).exclude(pk=template.pk).exists():
        raise _taken()


def _taken() -> RefusedError:
    return RefusedError("adopt.taken", _("This task belongs to another template. Choose another task."))


def _ask(template: ActionTemplate, task_id: str) -> Task:
    try:
        return dashscope(template.credential_id).get_task(task_id)
    except UnusableKeyError as problem:
        raise unusable_key() from problem
    except DashScopeError as problem:
        raise ServiceTroubleError(
            "dashscope", _("Alibaba did not answer, so the task could not be looked at. Try again in a moment.")
        ) from problem


def _with_kept_result(template: ActionTemplate, task: Task, task_id: str) -> Task:
    """The task; where the service no longer knows it, what reconcile.py wrote down of it before."""
    if task.status not in {UNKNOWN_WORD, ""}:
        return task
    laid_out = [each for each in template.found if isinstance(each, dict) and each.get("task_id") == task_id]
    kept = next((each for each in laid_out if each.get("template_id")), None)
    if kept is None:
        return task
    return Task(
        task_id,
        _KEPT_RESULT,
        template_id=str(kept["template_id"]),
        video_duration=kept.get("seconds"),
        video_ratio=str(kept.get("video_ratio") or ""),
    )


def _take_result(template: ActionTemplate, task: Task) -> None:
    """There is nothing left to be looked at: the template is ready with what was kept."""
    now = timezone.now()
    template.move(
        State.READY,
        guard={"task_id": task.task_id},
        template_id=task.template_id,
        video_duration=task.video_duration,
        video_ratio=task.video_ratio,
        ready_at=now,
        ended_at=now,
        detail={"template_id": task.template_id},
    )


def _require_its_length(template: ActionTemplate, task: Task) -> None:
    """What a finished task was billed for is its video's length: another one's is noticed by that, where it differs."""
    billed, length = task.video_duration, template.clip.duration_s
    if billed is None or length is None or abs(billed - length) <= max(_LENGTH_MAY_DIFFER_S, length * 0.05):
        return
    raise RefusedError(
        "adopt.length",
        _("This task made a video of %(billed)s seconds, and this one has %(length)s: it is another template's. "
          "Choose the one of its length.") % {"billed": f"{billed:.1f}", "length": f"{length:.1f}"},
    )  # fmt: skip


def _require_known(task: Task) -> None:
    if task.status in {UNKNOWN_WORD, ""}:
        raise RefusedError(
            "adopt.unknown",
            _("Alibaba does not know this task: it ended more than a day ago, or another Alibaba account made it."),
        )
    if task.succeeded and not task.template_id:
        raise RefusedError("adopt.other_kind", _("This task made something else than a template. Choose another task."))


def resubmit(template: ActionTemplate, *, by: User | None) -> None:
    """Send an unconfirmed template again by a person's decision: it may be paid for twice.

    Raises NotPossibleError; QuotaError where the account's limits have become smaller since.
    """
    if template.state not in UNDECIDED:
        raise NotPossibleError("resubmit.state", _("Only an unconfirmed template can be sent again like this."))
    require_for_a_person(template)
    now = timezone.now()
    try:
        won = template.move(
            State.QUEUED,
            by=by,
            guard={**_KEPT, "error_code": FOR_A_PERSON},
            **FRESH,
            attempt=template.attempt + 1,
            queued_at=now,
            next_look_at=now,
            detail={"decision": "sent again"},
        )
    except OverLimitError as problem:
        raise over_quota(problem) from problem
    if not won:
        raise lost_race()


def look_again(template: ActionTemplate, *, by: User | None = None) -> None:
    """Look at its task, or through the task list, at the next occasion. Raises NotPossibleError.

    An unconfirmed one that is left to a person is looked for once more, and comes back to the person with what the
    list then shows.
    """
    if template.state not in LOOKED_AT | UNDECIDED:
        raise NotPossibleError("look.state", _("There is nothing at Alibaba to look at in its present state."))
    now = timezone.now()
    values: dict[str, Any] = {"next_look_at": now}
    if template.state == State.UNCONFIRMED:
        values["error_code"] = "unconfirmed"
    with transaction.atomic():
        same = ActionTemplate.objects.filter(pk=template.pk, state=template.state, task_id=template.task_id)
        if not same.update(version=F("version") + 1, **values):
            raise lost_race()
        Event.objects.create(template=template, kind=Event.Kind.LOOK_WANTED, by=by, attempt=template.attempt, at=now)
    for name, value in values.items():
        setattr(template, name, value)


def may_be_called_lost(template: ActionTemplate, *, now: datetime) -> bool:
    """Whether its task was not seen for longer than results are kept: it cannot be asked for, by a key that is no
    longer taken, or read. While it can be, looks go on, and only UNKNOWN makes it LOST.
    """
    seen = template.last_known or template.changed_at
    return template.state in WATCHED and template.deleted_at is None and now - seen > RESULTS_KEPT


def call_lost(template: ActionTemplate, *, by: User | None) -> None:
    """End the watching of such a task: its slot and what is held for it are free again. Raises NotPossibleError."""
    now = timezone.now()
    if not may_be_called_lost(template, now=now):
        raise NotPossibleError(
            "lost.state", _("Its task may still be read. It can be called lost a day after Alibaba last told of it.")
        )
    guard = {**_KEPT, "task_id": template.task_id, "looked_at": template.looked_at}
    detail = {"decision": "called lost"}
    if not template.move(State.LOST, by=by, guard=guard, error_code=UNREADABLE, next_look_at=now, detail=detail):
        raise lost_race()
