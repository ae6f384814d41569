"""How the queue is told."""

from typing import Any

from django.db import transaction
from django_q.tasks import async_task


def ring(job: str, **arguments: Any) -> None:
    """Tell the queue, once the transaction has committed. The row is the truth: a lost message is rung again.

    So a queue that is away (Redis) is logged, and no failure of what has been committed.
    """

    def tell() -> None:
        async_task(f"templategen.jobs.{job}", **arguments)

    transaction.on_commit(tell, robust=True)
