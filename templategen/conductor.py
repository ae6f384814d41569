"""The leased loop: who goes next, looks at open tasks, sweeps. It makes no paid call of its own.

Of any number of worker commands one holds the lease. Everything it decides is a conditional update on a row, so that
a holder that froze and woke up late changes nothing that another has changed meanwhile.
"""

import logging
import threading
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections, transaction
from django.db.models import Min
from django.utils import timezone

from templategen import actions, pipeline, policy, reconcile, sweep
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate
from templategen.states import AT_SERVICE, State

logger = logging.getLogger(__name__)

# Looks in one pass, then the lease is renewed. DashScope allows 20 queries a second (task page); one thread that
# waits for each answer stays below.
LOOKS_A_PASS = 50
_BUSY_PAUSE, _IDLE_PAUSE = 0.25, 1.0
_SWEEP_EVERY = timedelta(seconds=15)
_HEARTBEAT_EVERY = timedelta(seconds=15)


class Conductor:
    """One worker command's part in the loop."""

    def __init__(self) -> None:
        self.lease = LeaseHolder("conductor")
        self._swept_at = self._beat_at = datetime.min.replace(tzinfo=timezone.get_default_timezone())
        # When each account was last served, as a counter: accounts that share a credential take turns.
        self._turns: dict[int, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Pass after pass until ``stop``. A database that is away is waited for; a bug is logged, not fatal."""
        while not stop.is_set():
            busy = False
            try:
                close_old_connections()
                busy = self.lease.acquire() and self.one_pass()
            except DatabaseError:
                logger.exception("pass failed: the database did not answer")
            except Exception:
                logger.exception("pass failed")
            stop.wait(_BUSY_PAUSE if busy else _IDLE_PAUSE)
        self.lease.release()

    def one_pass(self) -> bool:
        """Look at what is due, hand over what may go, now and then sweep; whether anything was done."""
        now = timezone.now()
        if now - self._beat_at >= _HEARTBEAT_EVERY:
            self._beat_at = now
            actions.ring("heartbeat")
        done = self._look(now)
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            reconcile.unconfirmed(now=now)
            sweep.once(now=now)
        return self._hand_over() + done > 0

    def _look(self, now: datetime) -> int:
        due = list(ActionTemplate.objects.select_related("clip").due_for_look(now=now)[:LOOKS_A_PASS])
        for template in due:
            if not self.lease.renew():
                break
            try:
                pipeline.look(template)
            except Exception:
                # One odd answer must not keep the others from being looked at.
                logger.exception("look failed", extra={"template": template.public_id})
                pipeline.look_later(template)
        return len(due)

    def _hand_over(self) -> int:
        """Claim as many waiting templates as slots are free, and ring for their launch."""
        count = 0
        while self._hand_over_one():
            count += 1
        return count

    def _hand_over_one(self) -> bool:
        now = timezone.now()
        with transaction.atomic():
            # Fencing: within this transaction the lease cannot change hands, so that two cannot fill one slot.
            if not self.lease.renew() or _is_held_back(now):
                return False
            if (
                ActionTemplate.objects.filter(state__in=AT_SERVICE - {State.UNCONFIRMED}).count()
                >= settings.DASHSCOPE_SLOTS
            ):
                return False
            template = self._next(now)
            if template is None:
                return False
            token = pipeline.claim_submit(template, now=now)
            if token is None:
                return False
            actions.ring("launch", template_pk=template.pk, token=token)
        self._turns[template.account_id] = max(self._turns.values(), default=0) + 1
        return True

    def _next(self, now: datetime) -> ActionTemplate | None:
        """The account served longest ago; within it, who waits longest."""
        waiting = ActionTemplate.objects.filter(state=State.QUEUED, next_look_at__lte=now)
        accounts = waiting.order_by().values_list("account").annotate(first=Min("queued_at"))
        turn = min(accounts, key=lambda pair: (self._turns.get(pair[0], 0), pair[1]), default=None)
        if turn is None:
            return None
        return waiting.select_related("clip").filter(account=turn[0]).order_by("queued_at", "pk").first()


def _is_held_back(now: datetime) -> bool:
    """Whether nobody may be handed over: the site's own trouble, or an answer that is still being looked for.

    While a submit is unresolved no other goes out, so that what the task list then shows is its own.
    """
    if reconcile.pending():
        return True
    return ActionTemplate.objects.filter(
        state=State.QUEUED, next_look_at__gt=now, error_code__in=policy.SITE_TROUBLE
    ).exists()
