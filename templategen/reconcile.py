"""Submits without an answer: was a task made? The task list tells, as far as it can.

The list has no input and no template ID (task page, "Batch query"), so a task is known for ours by being the only
one of its time that no row of ours owns. One such: adopted. Anything else: a person decides on the template's page.
Nothing is ever sent again from here: that the list does not show a task proves little while clocks may differ and a
slow server may still be at it (docs/decisions/paid-calls.md).
"""

import logging
from datetime import UTC, datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from templategen import policy
from templategen.clients.build import dashscope
from templategen.clients.dashscope import DashScopeError, RefusedError, TaskPage
from templategen.models import ActionTemplate, Event, TemplateQuerySet
from templategen.states import FOR_A_PERSON, State

logger = logging.getLogger(__name__)

SKEW = policy.SKEW
# For so long the list is asked again and again; the other templates wait meanwhile.
LOOK_FOR = timedelta(minutes=6)
_LIST_WINDOW = timedelta(hours=23)
_PAGE_SIZE, _MOST_PAGES = 100, 20


def _looked_for() -> TemplateQuerySet:
    return ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON)


def pending() -> bool:
    """Whether an answer is still being looked for: nobody else is handed over, so that the match stays unique."""
    return _looked_for().exists()


def unconfirmed(*, now: datetime) -> None:
    """Look for each unconfirmed row whose time has come."""
    for template in _looked_for().filter(next_look_at__lte=now).select_related("clip").order_by("sent_at"):
        try:
            _decide(template, now=now)
        except Exception:
            logger.exception("reconciling failed", extra={"template": template.public_id})
            _leave_to_a_person(template, found=[])


def _decide(template: ActionTemplate, *, now: datetime) -> None:
    sent_at = template.sent_at
    # Also those left to a person: the task that the list shows may be theirs.
    others = ActionTemplate.objects.filter(state__in=[State.SUBMITTING, State.UNCONFIRMED]).exclude(pk=template.pk)
    alone = sent_at is None or not others.filter(Q(sent_at=None) | Q(sent_at__gte=sent_at - 2 * SKEW)).exists()
    if sent_at is None or not alone or now - sent_at > _LIST_WINDOW:
        # Two at once could be told apart by nothing; and the list shows the last day only.
        _leave_to_a_person(template, found=[])
        return
    over = now - sent_at > LOOK_FOR
    try:
        # Up to now: the call may have gone out, or been taken, long after its mark.
        found = _unowned(sent_at - SKEW, now + SKEW)
    except DashScopeError as problem:
        logger.warning("task list failed", extra={"problem": str(problem)})
        for_good = isinstance(problem, RefusedError) and not policy.is_throttling(problem)
        if over or for_good:
            _leave_to_a_person(template, found=[])
        else:
            _ask_again(template, now)
        return
    if found is not None and len(found) == 1:
        _adopt(template, found[0], now=now)
    elif over or found is None or found:
        _leave_to_a_person(template, found=found or [])
    else:
        _ask_again(template, now)


def _ask_again(template: ActionTemplate, now: datetime) -> None:
    ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED).update(
        next_look_at=now + policy.UNREACHABLE_WAIT
    )


def _unowned(start: datetime, end: datetime) -> list[str] | None:
    """IDs of tasks made between, that no row of ours owns; None when the list cannot be read to its end."""
    found: list[str] = []
    for number in range(1, _MOST_PAGES + 1):
        page = dashscope().list_tasks(page=number, page_size=_PAGE_SIZE)
        for row in page.rows:
            made = _made_at(row.get("gmt_create"))
            if made is None:
                return None
            if start <= made <= end:
                found.append(str(row.get("task_id") or ""))
        if _is_last(page, number):
            owned = set(Event.objects.filter(task_id__in=found).values_list("task_id", flat=True))
            return [task_id for task_id in dict.fromkeys(found) if task_id and task_id not in owned]
    return None


def _made_at(value: object) -> datetime | None:
    """Epoch milliseconds (task page); None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _is_last(page: TaskPage, number: int) -> bool:
    """Where the number of pages is missing, a short page is the last."""
    return len(page.rows) < _PAGE_SIZE or 0 < page.pages <= number


def _adopt(template: ActionTemplate, task_id: str, *, now: datetime) -> None:
    logger.info("adopted", extra={"template": template.public_id, "task_id": task_id})
    template.move(
        State.PENDING,
        task_id=task_id,
        error_code="",
        error_message="",
        next_look_at=now,
        detail={"decision": "found in the task list"},
    )


def _leave_to_a_person(template: ActionTemplate, *, found: list[str]) -> None:
    ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED).update(
        error_code=FOR_A_PERSON,
        error_message=" ".join(found)[:2000],
        version=F("version") + 1,
        changed_at=timezone.now(),
    )
    logger.error("a person must decide", extra={"template": template.public_id, "found": len(found)})
