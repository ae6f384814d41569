"""What grows by itself and nobody looks at: the queue's own rows and expired sessions. And whose the API keys are.

Measured (docs/decisions/queue.md): with ``save_limit`` -1 a task that succeeds leaves nothing, one that fails leaves a
row of ``django_q_task`` for ever. The history of a template goes with its row (``Event.template`` cascades).
"""

import logging
from datetime import datetime, timedelta

from django_q.models import OrmQ, Task

from accounts.sessions import SessionStore
from templategen.credentials import learn_owners
from templategen.lease import LeaseHolder

logger = logging.getLogger(__name__)

# Long enough for somebody to look at what failed; what it was about stands in the log and in our own rows too.
FAILURES_KEPT = timedelta(days=7)
# Nobody takes these any more: the queue moved to Redis, or has another name. What they rang for is rung again.
MESSAGES_KEPT = timedelta(days=2)
EVERY = timedelta(days=1)


def daily(now: datetime) -> int:
    """Prune once a day, whoever calls and how often; how many rows of the queue went now."""
    # Never renewed and never given back: it runs out when the next day's work is due.
    if not LeaseHolder("housekeeping", length=EVERY).acquire():
        return 0
    pruned = prune_queue(now)
    # As ``manage.py clearsessions`` does.
    SessionStore.clear_expired()
    learn_owners()
    logger.info("housekeeping done", extra={"queue_rows": pruned})
    return pruned


def prune_queue(now: datetime) -> int:
    """Delete old failures and messages that nobody takes; how many rows."""
    failures, _by_table = Task.objects.filter(stopped__lt=now - FAILURES_KEPT).delete()
    # A message waiting is locked since it came, one taken until it may be given out again.
    messages, _by_table = OrmQ.objects.filter(lock__lt=now - MESSAGES_KEPT).delete()
    return int(failures + messages)
