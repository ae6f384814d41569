"""Submits without an answer: was a task made? The task list tells, as far as it can (docs/decisions/paid-calls.md).

The list has no input and no template ID (task page, "Batch query"), so a task is known for ours by the request ID of
the submit, or by being the only one of its time that no row of ours owns. One such: adopted. Provably none: back in
line. Anything else: a person decides on the template's page, with what was found laid out; what was found is looked at
until it ends, for its result may be gone before somebody decides.

``question`` and ``decide`` speak with the database only, ``gather`` with the network only, so that a loop can put the
reading elsewhere. While one is being looked for nothing else is submitted with that credential. Every write is for the
claim that was asked about: a loop that froze in between changes nothing of a later one.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from templategen import actions, credential_status, evidence, pipeline, policy, sender
from templategen.clients.build import dashscope
from templategen.clients.dashscope import CANCELED_WORD, FAILED_WORD, SUCCESS_WORDS, UNKNOWN_WORD, RefusedError, Task
from templategen.credentials import may_be_one_account
from templategen.evidence import Evidence, call_end
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.policy import Verdict
from templategen.states import FOR_A_PERSON, State
from templategen.task_list import Gathered, Listed, Question, gather

__all__ = ["Gathered", "Question", "bury_senders", "decide", "due", "gather", "pending", "question", "unconfirmed"]

logger = logging.getLogger(__name__)

_MOST_FOUND = 20
_AT_ONCE = 500
# What was found for a person is looked at so often, for as long as the service keeps results (about 24 hours).
_FOUND_LOOK, _RESULTS_KEPT, _NEVER = timedelta(minutes=15), timedelta(hours=26), timedelta(days=3650)
# A next look further off than this was written by a clock that was wrong.
_LONGEST_WAIT = timedelta(minutes=5)


# --- whose turn it is ---


def _looked_for() -> TemplateQuerySet:
    return ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON)


def pending(credential_id: int | None = None) -> bool:
    """Whether an answer is still being looked for: nobody else is handed over, so that the match stays unique."""
    return _looked_for().filter(Q(credential_id=credential_id)).exists()


def due(*, now: datetime) -> list[ActionTemplate]:
    """Unconfirmed ones that are to be looked for now, and those whose found tasks are, the oldest first."""
    is_due = Q(next_look_at__lte=now)
    looked_for = _looked_for().filter(is_due | Q(next_look_at__gt=now + _LONGEST_WAIT))
    decided_on = ActionTemplate.objects.filter(is_due, state=State.UNCONFIRMED, error_code=FOR_A_PERSON)
    return list((looked_for | decided_on.exclude(found=[])).select_related("clip").order_by("sent_at", "pk"))


def unconfirmed(*, now: datetime) -> int:
    """Look for each of them, network included; how many."""
    found = due(now=now)
    for template in found:
        _look_for(template, now=now)
        if template.search.get("candidate") and template.next_look_at <= now:
            # A second reading, with a look at the one that was found; where it need not be later.
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
    if template.error_code == FOR_A_PERSON:
        return Question(only=tuple(str(each["task_id"]) for each in template.found if _is_open(each)))
    return Question(
        page_size=credential_status.status_of(template.credential_id).page_size,
        # Nothing of ours shows yet what the model is called there: then every task counts.
        any_model=not evidence.must_be_shown(template, now=timezone.now()).exists(),
        candidate=str(template.search.get("candidate", "")),
    )


def decide(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    """Act on what was gathered: adopt, back in line, a person, or look again later.

    ``template`` is the row as it was when it was asked about: what was read for another claim of it counts for nothing.
    """
    token = template.claim_token
    try:
        template.refresh_from_db()
        if template.state != State.UNCONFIRMED or template.claim_token != token:
            return
        if template.error_code == FOR_A_PERSON:
            _keep_results(template, gathered, now=now)
        else:
            _decide(template, gathered, now=now)
    except (OperationalError, InterfaceError):
        # The database, not what was read: it is looked for again.
        raise
    except Exception:
        logger.exception("reconciling failed", extra={"template": template.public_id})
        _leave_to_a_person(template)


def not_asked(template: ActionTemplate, *, now: datetime) -> None:
    """Nothing can be asked with its credential at present. Longer than any answer asks to wait: it never will be, for
    its key cannot be read any more, say. Then a person decides."""
    if template.error_code != FOR_A_PERSON and (
        template.sent_at is None or now > look_until(template) + credential_status.LONGEST_HOLD
    ):
        _leave_to_a_person(template)


def _decide(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    if template.sent_at is None or now - template.sent_at > evidence.LIST_WINDOW:
        _leave_to_a_person(template)
        return
    if gathered.problem is not None:
        _not_read(template, gathered, now=now)
        return
    told = evidence.weigh(template, gathered)
    chosen = told.certain or _believed(template, told, now=now)
    if chosen is not None and _is_proved(chosen, gathered):
        _adopt(template, chosen, now=now)
    elif chosen is not None and template.search.get("candidate") != chosen.task_id:
        # Read once more, with a look at the task itself: theirs may be listed a moment before ours.
        wait = timedelta() if told.certain else min(policy.settle_time() / 20, _interval())
        _ask_again(template, now=now, wait=wait, search={"candidate": chosen.task_id})
    elif _is_in_the_future(template, now):
        # The sender's clock was wrong: what it says of the call would be waited for, or be believed too soon.
        _leave_to_a_person(template, found=told.possible)
    elif told.possible:
        _not_told_apart(template, told, now=now)
    elif told.whole:
        _nothing_there(template, gathered, told, now=now)
    else:
        _wait_or_give_up(template, found=[], now=now, search=template.search)


def _not_read(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    problem = gathered.problem
    logger.warning("task list failed", extra={"template": template.public_id, "problem": str(problem)})
    if isinstance(problem, RefusedError) and policy.verdict_on_look(problem) is not Verdict.LATER:
        # A key may be allowed to submit and not to list: no reason to pause it.
        _leave_to_a_person(template)
        return
    is_throttled = isinstance(problem, RefusedError) and policy.verdict(problem) is Verdict.LATER
    retry_after = getattr(problem, "retry_after", None)
    if is_throttled or retry_after is not None:
        credential_status.hold_looks(template.credential_id, retry_after=retry_after)
    _wait_or_give_up(template, found=None, now=now, search=template.search)


def _believed(template: ActionTemplate, told: Evidence, *, now: datetime) -> Listed | None:
    """The one task that can be nobody's but this template's, once it may be believed to be that."""
    if told.likely is None or not told.whole or not _is_alone(template):
        return None
    # Where others use the account, the one that is seen first may be theirs while ours is not listed yet. Where the
    # sender may be asleep before its call, too.
    if (told.shared or template.call_over_at is None) and now < call_end(template) + policy.settle_time():
        return None
    return told.likely


def _is_alone(template: ActionTemplate) -> bool:
    """Whether no other call is under way or unanswered whose task this could be."""
    unanswered = ActionTemplate.objects.filter(state=State.UNCONFIRMED)
    if template.sent_at is not None:
        # A slow server may have made the task of one that was given up only now.
        late = max(2 * policy.skew(), evidence.longest_call() + policy.settle_time())
        unanswered = unanswered.filter(sent_at__gte=template.sent_at - late)
    return not _shares_a_list(template, unanswered) and not _under_way(template)


def _is_proved(chosen: Listed, gathered: Gathered) -> bool:
    """Whether a look at the task itself showed it, as a template's."""
    task = gathered.candidate
    if task is None or task.task_id != chosen.task_id or task.status in {UNKNOWN_WORD, ""}:
        return False
    return not task.succeeded or bool(task.template_id)


def _is_in_the_future(template: ActionTemplate, now: datetime) -> bool:
    times = [at for at in (template.sent_at, template.call_over_at) if at is not None]
    return max(times) > now + policy.skew()


def _not_told_apart(template: ActionTemplate, told: Evidence, *, now: datetime) -> None:
    hopeless = len(told.possible) > 1 or not _is_alone(template)
    if hopeless and template.call_over_at is not None and not _under_way(template):
        _leave_to_a_person(template, found=told.possible)
    else:
        _wait_or_give_up(template, found=told.possible, now=now, search={})


def _under_way(template: ActionTemplate) -> bool:
    """Whether another's answer is still to come: the list may show its task before its row has it."""
    return _shares_a_list(template, ActionTemplate.objects.filter(state=State.SUBMITTING))


def _shares_a_list(template: ActionTemplate, rows: TemplateQuerySet) -> bool:
    """Whether the task of one of ``rows`` may stand in the same list: that of another Alibaba account shows none."""
    others = rows.exclude(pk=template.pk).order_by().values_list("credential", flat=True).distinct()
    return any(may_be_one_account(template.credential_id, other) for other in others)


def _nothing_there(template: ActionTemplate, gathered: Gathered, told: Evidence, *, now: datetime) -> None:
    """The list is whole and holds nothing that could be it: proof, once it has been so for long enough.

    Without a task of ours in it, it may be a list that would never show it (another workspace's): then it proves
    nothing, and a person decides.
    """
    found = [] if told.witnessed else told.unowned
    if template.call_over_at is None or gathered.began < template.call_over_at or gathered.clock is None:
        _wait_or_give_up(template, found=found, now=now, search={})
        return
    here = parse_datetime(str(template.search.get("clean_since", "")))
    there = parse_datetime(str(template.search.get("clean_since_there", "")))
    if here is None or there is None:
        clean = {"clean_since": gathered.began.isoformat(), "clean_since_there": gathered.clock.isoformat()}
        _wait_or_give_up(template, found=found, now=now, search=clean)
        return
    # By both clocks: ours may be set meanwhile. Date has whole seconds.
    settle = policy.settle_time()
    long_enough = gathered.began - here >= settle and gathered.clock - there >= settle - timedelta(seconds=2)
    if not long_enough or _under_way(template):
        _wait_or_give_up(template, found=found, now=now, search=template.search)
    elif told.witnessed:
        _send_again(template, now=now)
    else:
        _leave_to_a_person(template, found=found)


# --- what is done ---


def _interval() -> timedelta:
    """Between two readings of the list."""
    return min(max(policy.settle_time() / 20, timedelta(seconds=0.5)), timedelta(seconds=30))


def _ask_again(template: ActionTemplate, *, now: datetime, wait: timedelta, search: dict[str, Any]) -> None:
    _same_claim(template).exclude(error_code=FOR_A_PERSON).update(next_look_at=now + wait, search=search)


def _same_claim(template: ActionTemplate) -> TemplateQuerySet:
    return ActionTemplate.objects.filter(
        pk=template.pk, state=State.UNCONFIRMED, claim_token=template.claim_token, sent_at=template.sent_at
    )


def look_until(template: ActionTemplate) -> datetime:
    """Until when the list is asked at the latest; then a person decides."""
    assert template.sent_at is not None  # noqa: S101  # only rows with a call are looked for
    over = template.call_over_at or call_end(template)
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
    now = timezone.now()
    left = _same_claim(template).exclude(error_code=FOR_A_PERSON)
    if left.update(
        error_code=FOR_A_PERSON,
        search={},
        cancel_wanted_at=None,
        version=F("version") + 1,
        changed_at=now,
        next_look_at=now,
        **values,
    ):
        logger.error("a person must decide", extra={"template": template.public_id})


def _distance(template: ActionTemplate, task: Listed) -> timedelta:
    if template.sent_at is None or task.made_at is None:
        return timedelta.max
    return abs(task.made_at - template.sent_at)


# --- what was found for a person ---


def _is_open(found: object) -> bool:
    """Whether a task that was laid out has not been seen at its end yet, or without what it made."""
    if not isinstance(found, dict):
        return False
    status = str(found.get("status", ""))
    ended = status in {FAILED_WORD, CANCELED_WORD} or (status in SUCCESS_WORDS and bool(found.get("template_id")))
    return bool(found.get("task_id")) and not ended


def _keep_results(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> None:
    """Write down what became of the tasks that a person has to choose from: a day later nobody tells."""
    looked = gathered.looked
    found = [
        _with_result(each, looked[each["task_id"]]) if _is_open(each) and each["task_id"] in looked else each
        for each in template.found
    ]
    kept = now - template.changed_at < _RESULTS_KEPT and any(map(_is_open, found))
    values: dict[str, Any] = {"next_look_at": now + (_FOUND_LOOK if kept else _NEVER)}
    if found != template.found:
        values |= {"found": found, "version": F("version") + 1}
    _same_claim(template).filter(error_code=FOR_A_PERSON, version=template.version).update(**values)


def _with_result(found: dict[str, Any], task: Task) -> dict[str, Any]:
    if task.status in {UNKNOWN_WORD, ""}:
        return found
    if not task.template_id:
        return found | {"status": task.status}
    # In the log before the database is asked: it exists nowhere else.
    logger.info("task laid out for a person", extra={"task_id": task.task_id, "template_id": task.template_id})
    result = {"template_id": task.template_id, "seconds": task.video_duration, "video_ratio": task.video_ratio}
    return found | {"status": task.status, **result}
