"""Submits without an answer: was a task made? The task list tells, as far as it can (docs/decisions/paid-calls.md).

The list has no input and no template ID (task page, "Batch query"), so a task is known for ours by the request ID of
the submit, or by being the only one of its time that no row of ours owns. One such: adopted. Provably none: back in
line. Anything else: a person decides on the template's page, with what was found laid out.

``question`` and ``decide`` speak with the database only, ``gather`` with the network only, so that a loop can put the
reading elsewhere. While one is being looked for nothing else is submitted with that credential.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from templategen import actions, credential_status, pipeline, policy, sender
from templategen.clients.build import dashscope
from templategen.clients.dashscope import UNKNOWN_WORD, RefusedError
from templategen.models import ActionTemplate, Event, TemplateQuerySet
from templategen.policy import Verdict
from templategen.states import FOR_A_PERSON, State
from templategen.task_list import Gathered, Listed, Question, gather

__all__ = ["Gathered", "Question", "bury_senders", "decide", "due", "gather", "pending", "question", "unconfirmed"]

logger = logging.getLogger(__name__)

# The list reaches back 24 hours; by then it must still show the time of the call.
_LIST_WINDOW = timedelta(hours=23)
# Our own tasks of this time tell the list's clock, and whether it shows what it should.
_WITNESSED = timedelta(hours=12)
_MOST_FOUND = 20
_AT_ONCE = 500


@dataclass(frozen=True)
class _Evidence:
    """What a reading says about one template."""

    # Could be its task: not owned by any row, and of its time (of any time, where the clocks could not be compared).
    candidates: list[Listed]
    # With the very request ID that the call's answer carried.
    certain: Listed | None
    # Complete, and it shows our own tasks of late.
    whole: bool
    # A single one of these, made in the time of the call, is its task.
    in_time: list[Listed]
    # Others use this Alibaba account for templates too.
    shared: bool
    # The list's clock is known.
    calibrated: bool


# --- whose turn it is ---


def _looked_for() -> TemplateQuerySet:
    return ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON)


def pending(credential_id: int | None = None) -> bool:
    """Whether an answer is still being looked for: nobody else is handed over, so that the match stays unique."""
    return _looked_for().filter(Q(credential_id=credential_id)).exists()


def due(*, now: datetime) -> list[ActionTemplate]:
    """Unconfirmed ones that are to be looked for now, the oldest first."""
    return list(_looked_for().filter(next_look_at__lte=now).select_related("clip").order_by("sent_at", "pk"))


def unconfirmed(*, now: datetime) -> int:
    """Look for each of them, network included; how many."""
    found = due(now=now)
    for template in found:
        _look_for(template, now=now)
        if template.search.get("candidate") and template.next_look_at <= now:
            # A second reading, with a look at the one that was found.
            _look_for(template, now=now)
    return len(found)


def _look_for(template: ActionTemplate, *, now: datetime) -> None:
    decide(template, gather(dashscope(template.credential_id), question(template)), now=now)
    template.refresh_from_db()


def bury_senders(*, now: datetime) -> int:
    """Note of calls without an answer whose process is gone: it sends nothing more. How many.

    Only a process of the same machine can be known to be gone, so that each machine asks for its own, lease or not.
    """
    count = 0
    open_calls = ActionTemplate.objects.filter(
        state__in=[State.SUBMITTING, State.UNCONFIRMED], sent_at__isnull=False, call_over_at=None
    )
    for template in open_calls.exclude(claimed_by="")[:_AT_ONCE]:
        if sender.is_gone(template.claimed_by) is not True:
            continue
        if template.state == State.SUBMITTING:
            count += pipeline.mark_unconfirmed(
                template, template.claim_token, message="the worker stopped before the answer", over=True
            )
            continue
        same = ActionTemplate.objects.filter(
            pk=template.pk, state=State.UNCONFIRMED, claim_token=template.claim_token, call_over_at=None
        )
        count += same.update(call_over_at=now, version=F("version") + 1)
    return count


# --- what to ask, and what the answer means ---


def question(template: ActionTemplate) -> Question:
    """What to ask DashScope about it."""
    return Question(
        page_size=credential_status.status_of(template.credential_id).page_size,
        # Nothing of ours shows yet what the model is called there: then every task counts.
        any_model=not _of_late(template).exists(),
        candidate=str(template.search.get("candidate", "")),
    )


def decide(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    """Act on what was gathered: adopt, back in line, a person, or look again later."""
    try:
        template.refresh_from_db()
        if template.state == State.UNCONFIRMED and template.error_code != FOR_A_PERSON:
            _decide(template, gathered, now=now)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("reconciling failed", extra={"template": template.public_id})
        _leave_to_a_person(template)


def _decide(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    if template.sent_at is None or now - template.sent_at > _LIST_WINDOW:
        _leave_to_a_person(template)
        return
    if gathered.problem is not None:
        _not_read(template, gathered, now=now)
        return
    if gathered.began < template.sent_at:
        # Read for an earlier call of the same row.
        _ask_again(template, now=now, wait=timedelta(), search={})
        return
    evidence = _weigh(template, gathered)
    chosen = evidence.certain or _only_one(template, evidence, now=now)
    if chosen is not None and not _is_proved(chosen, gathered):
        if template.search.get("candidate") != chosen.task_id:
            _ask_again(template, now=now, wait=timedelta(), search={"candidate": chosen.task_id})
            return
        chosen = None
    if chosen is not None:
        _adopt(template, chosen, now=now)
    elif evidence.candidates:
        _not_told_apart(template, evidence, now=now)
    elif evidence.whole:
        _nothing_there(template, gathered, now=now)
    else:
        _wait_or_give_up(template, found=[], now=now, search=template.search)


def _not_read(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    problem = gathered.problem
    logger.warning("task list failed", extra={"template": template.public_id, "problem": str(problem)})
    if isinstance(problem, RefusedError):
        if policy.verdict_on_look(problem) is not Verdict.LATER:
            # A key may be allowed to submit and not to list: no reason to pause it.
            _leave_to_a_person(template)
            return
        if policy.verdict(problem) is Verdict.LATER:
            credential_status.hold_looks(template.credential_id, retry_after=problem.retry_after)
    _wait_or_give_up(template, found=None, now=now, search=template.search)


def _weigh(template: ActionTemplate, gathered: Gathered) -> _Evidence:
    assert template.sent_at is not None  # noqa: S101  # _decide asked
    ids = [task.task_id for task in gathered.tasks]
    owned = _owned(ids)
    unowned = [task for task in gathered.tasks if task.task_id not in owned]
    late = {row.task_id: row.sent_at for row in _of_late(template) if row.sent_at}
    made = {task.task_id: task.made_at for task in gathered.tasks if task.made_at}
    offsets = [made[task_id] - sent_at for task_id, sent_at in late.items() if task_id in made]
    offset = _agreed(offsets, gathered.clock_ahead)
    whole = gathered.whole and late.keys() <= set(ids)
    ours = [task for task in unowned if task.model in {"", settings.DASHSCOPE_MODEL}]
    if offset is None:
        # The clocks could not be compared: a task of any time, and of any name, may be it.
        candidates = unowned
        known = [timedelta(), *offsets, *([gathered.clock_ahead] if gathered.clock_ahead else [])]
        low, high = min(known), max(known)
    else:
        begin = template.sent_at + offset - policy.skew()
        candidates = [task for task in ours if task.made_at is None or task.made_at >= begin]
        low = high = offset
    first, last = template.sent_at + low - policy.skew(), _call_end(template) + high + policy.skew()
    request_id = template.submit_request_id
    return _Evidence(
        candidates=candidates,
        certain=next((task for task in unowned if request_id and task.request_id == request_id), None),
        whole=whole,
        in_time=[task for task in candidates if task.made_at is not None and first <= task.made_at <= last],
        shared=len(ours) > 1,
        calibrated=offset is not None,
    )


def _of_late(template: ActionTemplate) -> TemplateQuerySet:
    """Rows whose tasks the list has to show: of this credential, sent before this one and not long ago."""
    since = (template.sent_at or timezone.now()) - _WITNESSED
    rows = ActionTemplate.objects.filter(Q(credential_id=template.credential_id), sent_at__gte=since)
    rows = rows.filter(sent_at__lte=template.sent_at).exclude(pk=template.pk)
    return rows.exclude(task_id="").exclude(state=State.LOST)


def _owned(task_ids: list[str]) -> set[str]:
    """Tasks that some template has or had: a retry clears the row's own, the Event stays."""
    owned: set[str] = set()
    for start in range(0, len(task_ids), _AT_ONCE):
        some = task_ids[start : start + _AT_ONCE]
        owned |= set(Event.objects.filter(task_id__in=some).values_list("task_id", flat=True))
        owned |= set(ActionTemplate.objects.filter(task_id__in=some).values_list("task_id", flat=True))
    return owned


def _agreed(offsets: list[timedelta], said: timedelta | None) -> timedelta | None:
    """How far the list's clock is ahead, where our own tasks in it and the answer's Date say the same; else None."""
    if not offsets or said is None:
        return None
    middle = timedelta(seconds=median(offset.total_seconds() for offset in offsets))
    agree = max(offsets) - min(offsets) <= policy.skew() and abs(middle - said) <= policy.skew()
    return middle if agree else None


def _call_end(template: ActionTemplate) -> datetime:
    """When the call was over at the latest, as far as its time-outs say: connecting, then waiting for the answer."""
    assert template.sent_at is not None  # noqa: S101  # _decide asked
    longest = template.sent_at + 2 * timedelta(seconds=settings.DASHSCOPE_TIMEOUT_SECONDS)
    return min(template.call_over_at, longest) if template.call_over_at else longest


def _only_one(template: ActionTemplate, evidence: _Evidence, *, now: datetime) -> Listed | None:
    """The one task that can be nobody's but this template's, once it may be believed to be that."""
    if len(evidence.candidates) != 1 or not evidence.in_time or not evidence.whole or not _is_alone(template, evidence):
        return None
    settled = now >= _call_end(template) + policy.settle_time()
    # Where others use the account, the one that is seen first may be theirs while ours is not listed yet. Where the
    # sender may be asleep before its call, too.
    if (evidence.shared or template.call_over_at is None) and not settled:
        return None
    return evidence.in_time[0]


def _is_alone(template: ActionTemplate, evidence: _Evidence) -> bool:
    """Whether no other call is under way or unanswered whose task this could be."""
    unanswered = ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(pk=template.pk)
    if evidence.calibrated and template.sent_at is not None:
        unanswered = unanswered.filter(sent_at__gte=template.sent_at - 2 * policy.skew())
    return not unanswered.exists() and not _under_way(template)


def _is_proved(chosen: Listed, gathered: Gathered) -> bool:
    """Whether a look at the task itself showed it, as a template's."""
    task = gathered.candidate
    if task is None or task.task_id != chosen.task_id or task.status in {UNKNOWN_WORD, ""}:
        return False
    return not task.succeeded or bool(task.template_id)


def _not_told_apart(template: ActionTemplate, evidence: _Evidence, *, now: datetime) -> None:
    hopeless = len(evidence.candidates) > 1 or not _is_alone(template, evidence)
    if hopeless and template.call_over_at is not None and not _under_way(template):
        _leave_to_a_person(template, found=evidence.candidates)
    else:
        _wait_or_give_up(template, found=evidence.candidates, now=now, search={})


def _under_way(template: ActionTemplate) -> bool:
    """Whether another's answer is still to come: the list may show its task before its row has it."""
    others = ActionTemplate.objects.filter(Q(credential_id=template.credential_id), state=State.SUBMITTING)
    return others.exclude(pk=template.pk).exists()


def _nothing_there(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    """The list is whole and holds nothing that could be it: proof, once it has been so for long enough."""
    if template.call_over_at is None or gathered.began < template.call_over_at or gathered.clock is None:
        _wait_or_give_up(template, found=[], now=now, search={})
        return
    here = parse_datetime(str(template.search.get("clean_since", "")))
    there = parse_datetime(str(template.search.get("clean_since_there", "")))
    if here is None or there is None:
        clean = {"clean_since": gathered.began.isoformat(), "clean_since_there": gathered.clock.isoformat()}
        _wait_or_give_up(template, found=[], now=now, search=clean)
        return
    # By both clocks: ours may be set meanwhile. Date has whole seconds.
    settle = policy.settle_time()
    long_enough = gathered.began - here >= settle and gathered.clock - there >= settle - timedelta(seconds=2)
    if long_enough and not _under_way(template):
        _send_again(template, now=now)
    else:
        _wait_or_give_up(template, found=[], now=now, search=template.search)


# --- what is done ---


def _interval() -> timedelta:
    """Between two readings of the list."""
    return min(max(policy.settle_time() / 20, timedelta(seconds=0.5)), timedelta(seconds=30))


def _ask_again(template: ActionTemplate, *, now: datetime, wait: timedelta, search: dict[str, Any]) -> None:
    ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON).update(
        next_look_at=now + wait, search=search
    )


def look_until(template: ActionTemplate) -> datetime:
    """Until when the list is asked at the latest; then a person decides."""
    assert template.sent_at is not None  # noqa: S101  # only rows with a call are looked for
    over = template.call_over_at or _call_end(template)
    return over + 2 * policy.settle_time() + 4 * _interval()


def _wait_or_give_up(
    template: ActionTemplate, *, found: Iterable[Listed] | None, now: datetime, search: dict[str, Any]
) -> None:
    if now > look_until(template):
        _leave_to_a_person(template, found=found)
    else:
        _ask_again(template, now=now, wait=_interval(), search=search)


def _adopt(template: ActionTemplate, task: Listed, *, now: datetime) -> None:
    logger.info("adopted", extra={"template": template.public_id, "task_id": task.task_id})
    try:
        with transaction.atomic():
            won = template.move(
                State.PENDING,
                guard={"claim_token": template.claim_token},
                task_id=task.task_id,
                submit_request_id=task.request_id,
                found=[],
                search={},
                error_code="",
                error_message="",
                next_look_at=now,
                detail={"decision": "found in the task list", "request_id": task.request_id},
            )
            if won and template.cancel_wanted_at is not None:
                actions.ring("cancel", template_pk=template.pk)
    except IntegrityError:
        # Another row got it in this moment.
        template.refresh_from_db()
        _ask_again(template, now=now, wait=_interval(), search={})


def _send_again(template: ActionTemplate, *, now: datetime) -> None:
    """No task was made: back to its old place in line, or ended where somebody wanted it stopped."""
    wanted = template.cancel_wanted_at is not None
    logger.warning("proved absent", extra={"template": template.public_id, "canceled": wanted})
    template.move(
        State.CANCELED if wanted else State.QUEUED,
        guard={"claim_token": template.claim_token, "cancel_wanted_at": template.cancel_wanted_at},
        claim_token="",
        claimed_by="",
        sent_at=None,
        call_over_at=None,
        submit_request_id="",
        found=[],
        search={},
        cancel_wanted_at=None,
        next_look_at=now,
        error_code="",
        error_message="",
        detail={"decision": "proved absent"},
    )


def _leave_to_a_person(template: ActionTemplate, *, found: Iterable[Listed] | None = None) -> None:
    """``found`` None: nothing could be read, so that what was laid out before stays."""
    values: dict[str, Any] = {}
    if found is not None:
        near = sorted(found, key=lambda task: _distance(template, task))[:_MOST_FOUND]
        values["found"] = [task.to_dict() for task in near]
    left = ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON)
    if left.update(
        error_code=FOR_A_PERSON,
        search={},
        cancel_wanted_at=None,
        version=F("version") + 1,
        changed_at=timezone.now(),
        **values,
    ):
        logger.error("a person must decide", extra={"template": template.public_id})


def _distance(template: ActionTemplate, task: Listed) -> timedelta:
    if template.sent_at is None or task.made_at is None:
        return timedelta.max
    return abs(task.made_at - template.sent_at)
