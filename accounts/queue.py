"""How the queue is told of this app's jobs."""

from typing import Any

from django.db import transaction
from django_q.tasks import async_task


def ring(job: str, **arguments: Any) -> None:
    """Have ``accounts.jobs.<job>`` run once the transaction has committed. A queue that is away is logged, no failure.

    The message lies in the queue's table in the clear: no token, password or key may be among the arguments.
    """

    def tell() -> None:
        async_task(f"accounts.jobs.{job}", **arguments)

    transaction.on_commit(tell, robust=True)
