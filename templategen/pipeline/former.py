"""What became of tasks that no row has any more: looked at seldom; their template IDs are kept, and what was billed."""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from accounts import ledger
from templategen.clients.dashscope import CANCELED_WORD, FAILED_WORD, UNKNOWN_WORD, Task
from templategen.models import ActionTemplate, FormerTask

logger = logging.getLogger(__name__)


def record_former(former: FormerTask, task: Task, *, now: datetime) -> None:
    """Write down what the service says of it: its end, or when it is looked at next."""
    same = FormerTask.objects.filter(pk=former.pk, ended_at=None)
    if task.succeeded and task.template_id:
        # In the log before the database is asked: it exists nowhere else.
        logger.warning(
            "an earlier attempt is ready", extra={"task_id": former.task_id, "template_id": task.template_id}
        )
        with transaction.atomic():
            ended = same.update(
                status=task.status,
                ended_at=now,
                template_id=task.template_id,
                video_duration=task.video_duration,
                video_ratio=task.video_ratio,
                request_id=task.request_id,
            )
            ActionTemplate.objects.filter(pk=former.origin_id).update(version=F("version") + 1)
            if ended:
                _book(former, task)
    elif task.status in {FAILED_WORD, CANCELED_WORD}:
        same.update(status=task.status, ended_at=now, request_id=task.request_id)
    elif task.succeeded or task.status in {UNKNOWN_WORD, ""}:
        same.update(status=task.status, next_look_at=now + FormerTask.LOOK)
    else:
        same.update(status=task.status, next_look_at=now + FormerTask.LOOK, until=now + FormerTask.KEPT)


def _book(former: FormerTask, task: Task) -> None:
    """It was billed, so it is used: the attempt that had been released is settled. A task that a row has is the row's
    to book."""
    if ActionTemplate.objects.filter(task_id=former.task_id).exists():
        return
    origin = former.origin
    reference = ledger.template_reference(origin.public_id, former.attempt)
    if former.attempt >= origin.attempt or ledger.is_settled(reference):
        # The attempt is, or was, another task's too.
        reference = f"{reference}:former-{former.pk}"
    billed = task.video_duration
    milliseconds = round(billed * 1000) if billed is not None else origin.clip.milliseconds
    ledger.settle(origin.account_id, reference, milliseconds=milliseconds)


def former_later(former: FormerTask, *, now: datetime, wait: timedelta) -> None:
    """Put off the next look: at this one something went wrong."""
    FormerTask.objects.filter(pk=former.pk, ended_at=None).update(next_look_at=now + wait)
