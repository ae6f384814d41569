"""Submits without an answer: was a task made? The task list tells, as far as it can.

The list has no input and no template ID (task page, "Batch query"), so a task is known for ours by being the only
one of its time that no row of ours owns. One such: adopted. None, once the list has settled: back in line. More: a
person decides on the template's page.
"""

import logging
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

from templategen import policy
from templategen.clients.build import dashscope
from templategen.clients.dashscope import DashScopeError
from templategen.models import ActionTemplate, Event
from templategen.states import State

logger = logging.getLogger(__name__)

# The two clocks may differ by this much.
SKEW = timedelta(minutes=2)
# Longer ago than this the list no longer shows it.
_LIST_WINDOW = timedelta(hours=23)
_PAGE_SIZE, _MOST_PAGES = 100, 20
# What ``error_code`` says of an UNCONFIRMED row that only a person can decide.
FOR_A_PERSON = "unconfirmed.person"


def pending(*, now: datetime) -> bool:
    """Whether an answer is still being looked for."""
    return ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON).exists()


def unconfirmed(*, now: datetime) -> None:
    """Decide each unconfirmed row whose time has come."""
    due = ActionTemplate.objects.filter(state=State.UNCONFIRMED, next_look_at__lte=now).exclude(error_code=FOR_A_PERSON)
    rows = list(due.select_related("clip").order_by("sent_at"))
    for template in rows:
        _decide(template, now=now, alone=len(rows) == 1)


def _decide(template: ActionTemplate, *, now: datetime, alone: bool) -> None:
    sent_at = template.sent_at
    if sent_at is None or now - sent_at > _LIST_WINDOW or not alone:
        _leave_to_a_person(template, found=[])
        return
    last = sent_at + timedelta(seconds=settings.DASHSCOPE_TIMEOUT_SECONDS)
    try:
        found = _unowned(sent_at - SKEW, last + SKEW)
    except DashScopeError as problem:
        logger.warning("task list failed", extra={"problem": str(problem)})
        ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED).update(
            next_look_at=now + policy.UNREACHABLE_WAIT
        )
        return
    if found is None or len(found) > 1:
        _leave_to_a_person(template, found=found or [])
    elif found:
        _adopt(template, found[0], now=now)
    else:
        template.move(
            State.QUEUED, claim_token="", sent_at=None, error_code="", error_message="", next_look_at=now,
            detail={"decision": "absent from the task list"},
        )  # fmt: skip


def _unowned(start: datetime, end: datetime) -> list[str] | None:
    """IDs of tasks made between, that no row of ours owns; None when the list is too long to be read."""
    found: list[str] = []
    for number in range(1, _MOST_PAGES + 1):
        page = dashscope().list_tasks(page=number, page_size=_PAGE_SIZE)
        for row in page.rows:
            made = row.get("gmt_create")
            if isinstance(made, (int, float)) and start <= datetime.fromtimestamp(made / 1000, UTC) <= end:
                found.append(str(row.get("task_id", "")))
        if number >= page.pages or not page.rows:
            owned = set(Event.objects.filter(task_id__in=found).values_list("task_id", flat=True))
            return [task_id for task_id in dict.fromkeys(found) if task_id and task_id not in owned]
    return None


def _adopt(template: ActionTemplate, task_id: str, *, now: datetime) -> None:
    template.task_id = task_id
    template.move(
        State.PENDING,
        task_id=task_id,
        error_code="",
        error_message="",
        next_look_at=now,
        search_text=template.words_to_search(),
        detail={"decision": "found in the task list"},
    )
    logger.info("adopted", extra={"template": template.public_id, "task_id": task_id})


def _leave_to_a_person(template: ActionTemplate, *, found: list[str]) -> None:
    ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED).update(
        error_code=FOR_A_PERSON, error_message=" ".join(found), version=template.version + 1, changed_at=timezone.now()
    )
    logger.error("a person must decide", extra={"template": template.public_id, "found": len(found)})
