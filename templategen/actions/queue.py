"""How the queue is told."""

from functools import partial
from typing import Any

from django.db import transaction
from django_q.tasks import async_task


def ring(job: str, **arguments: Any) -> None:
    """Tell the queue, once the transaction has committed. The row is the truth: a lost message is rung again."""
    transaction.on_commit(partial(async_task, f"templategen.jobs.{job}", **arguments))
