"""The leased loop: who goes next, looks at open tasks, sweeps. It makes no paid call of its own.

Of any number of worker commands one holds the lease. Everything it decides is a conditional update on a row, so that
a holder that froze and woke up late changes nothing that another has changed meanwhile.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections
from django.utils import timezone

from templategen import credential_status, handover, reconcile, sweep, tally
from templategen.clients.dashscope import UnknownOutcomeError
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate, FormerTask
from templategen.reconcile import Gathered, Question
from templategen.states import LOOKED_AT, State
from templategen.watch import Asking, ClosedError, Watcher

logger = logging.getLogger(__name__)

# Between two passes: at least, while answers come, and with nothing to do.
_LEAST_PAUSE, _BUSY_PAUSE, _IDLE_PAUSE = 0.1, 0.25, 1.0
_CREDENTIALS_SECONDS, _TALLY_SECONDS = 3.0, 15.0
# A next look further off than this is none (pipeline/record.py).
_NO_MORE = timedelta(days=1000)
# What calls OSS beside the loop takes seconds; an answer without an end must not stop it for ever.
_BESIDE_SECONDS = 900.0


class Conductor:
    """One worker command's part in the loop."""

    def __init__(self) -> None:
        self.lease = LeaseHolder("conductor")
        # For the worker's watchdog: seconds of time.monotonic() at the end of the last pass, with the lease or without.
        self.last_pass_at = time.monotonic()
        self._news = threading.Event()
        self._watchers: dict[int | None, Watcher] = {}
        self._conducts = False
        self._searches: dict[int, _Search] = {}
        self._credentials_at = self._swept_at = self._buried_at = self._handed_over_at = self._tallied_at = -math.inf
        self._beside: tuple[_Beside, _Beside] | None = None

    def run(self, stop: threading.Event) -> None:
        """Pass after pass until ``stop``. A database that is away is waited for; a bug is logged, not fatal."""
        self._beside = _Beside(), _Beside()
        while not stop.is_set():
            busy = False
            try:
                close_old_connections()
                self._bury_senders()
                busy = self._hold() and self.one_pass()
            except DatabaseError:
                logger.exception("pass failed: the database did not answer")
            except Exception:
                logger.exception("pass failed")
            self.last_pass_at = time.monotonic()
            self._rest(stop, busy=busy)
        self._let_go()
        try:
            tally.flush()
            self.lease.release()
        except DatabaseError:
            # It runs out by itself.
            logger.exception("lease not given back: the database did not answer")

    def one_pass(self, *, now: datetime | None = None) -> bool:
        """Look at what is due, hand over what may go, now and then sweep; whether anything was done."""
        now = now or timezone.now()
        tally.count("passes")
        done = sum(_guarded(partial(watcher.one_pass, now)) for watcher in self._all_watchers())
        done += self._reconcile(now)
        self._sweep(now)
        # An end frees a slot; what has just come into the line may wait a moment.
        if done or self._beside is None or time.monotonic() - self._handed_over_at >= _IDLE_PAUSE:
            self._handed_over_at = time.monotonic()
            done += _guarded(partial(handover.hand_over, self.lease, now=now))
        if time.monotonic() - self._tallied_at >= _TALLY_SECONDS:
            self._tallied_at = time.monotonic()
            tally.flush()
        return done > 0 or any(watcher.busy for watcher in self._watchers.values())

    def finish_looks(self, *, seconds: float = 30.0) -> None:
        """Wait for the answers that are under way; the next pass records them. For tests."""
        deadline = time.monotonic() + seconds
        while any(watcher.busy for watcher in self._watchers.values()) and time.monotonic() < deadline:
            time.sleep(0.002)

    # --- the lease ---

    def _hold(self) -> bool:
        """Whether this process conducts. What another one decides meanwhile is safe from this one's late answers."""
        holds = self.lease.hold()
        if holds and not self._conducts:
            tally.count("lease_takeovers")
        elif self._conducts and not holds:
            logger.warning("lease lost", extra={"owner": self.lease.owner})
            self._let_go()
        self._conducts = holds
        return holds

    def _let_go(self) -> None:
        for watcher in self._watchers.values():
            watcher.close()
        self._watchers.clear()
        self._searches.clear()

    def _rest(self, stop: threading.Event, *, busy: bool) -> None:
        """Until something has come or is due."""
        if stop.wait(_LEAST_PAUSE):
            return
        pause = _BUSY_PAUSE if busy else _IDLE_PAUSE
        for watcher in self._watchers.values():
            if watcher.next_due is not None:
                pause = min(pause, (watcher.next_due - timezone.now()).total_seconds())
        self._news.wait(max(pause - _LEAST_PAUSE, 0.0))
        self._news.clear()

    # --- looks ---

    def _all_watchers(self) -> list[Watcher]:
        """One for each credential, in use or retired, with open tasks or unanswered submits, and the site's."""
        if time.monotonic() - self._credentials_at >= _CREDENTIALS_SECONDS:
            self._credentials_at = time.monotonic()
            own = ActionTemplate.objects.filter(state__in=LOOKED_AT | {State.UNCONFIRMED}, credential__isnull=False)
            # A lost one that is not looked at any more would have its key watched for ever.
            own = own.exclude(state=State.LOST, next_look_at__gt=timezone.now() + _NO_MORE)
            former = FormerTask.objects.open(now=timezone.now()).filter(credential__isnull=False)
            wanted = {None}.union(
                *(rows.order_by().values_list("credential", flat=True).distinct() for rows in (own, former))
            )
            for credential_id in wanted - self._watchers.keys():
                self._watchers[credential_id] = Watcher(credential_id, news=self._news.set)
            for credential_id in self._watchers.keys() - wanted:
                if not self._watchers[credential_id].busy:
                    self._watchers.pop(credential_id).close()
                    credential_status.forget_retired(credential_id)
        return list(self._watchers.values())

    # --- submits without an answer ---

    def _reconcile(self, now: datetime) -> int:
        """Have the task list read for those that are looked for, and act on what it told; how many were acted on."""
        over = [search for search in self._searches.values() if search.gathered.done()]
        for search in over:
            del self._searches[search.template.pk]
            problem = search.gathered.exception()
            if problem is None:
                _guarded(partial(_decide, search.template, search.gathered.result(), now=now))
            elif not isinstance(problem, ClosedError):
                logger.error("task list not read", exc_info=problem)
                nothing = Gathered(began=now, problem=UnknownOutcomeError(type(problem).__name__))
                _guarded(partial(_decide, search.template, nothing, now=now))
        for template in reconcile.due(now=now):
            watcher = self._watchers.get(template.credential_id)
            if watcher is None or template.pk in self._searches:
                continue
            if watcher.is_held(now):
                reconcile.not_asked(template, now=now)
                continue
            question = reconcile.question(template)
            self._searches[template.pk] = _Search(template, watcher.run(partial(_gather, question)))
        return len(over)

    def _bury_senders(self) -> None:
        """With the lease or without: only a process of the same machine is known to be gone."""
        if time.monotonic() - self._buried_at >= settings.SWEEP_SECONDS:
            self._buried_at = time.monotonic()
            reconcile.bury_senders(now=timezone.now())

    # --- the sweep ---

    def _sweep(self, now: datetime) -> None:
        """Beside the loop, so that no look waits with it; and what calls OSS and may wait for it beside the rest."""
        if time.monotonic() - self._swept_at < settings.SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        if self._beside is None:
            sweep.once(now=now)
            return
        for beside, work in zip(self._beside, (sweep.at_home, sweep.abroad), strict=True):
            beside.start(partial(work, now=now))


@dataclass(frozen=True)
class _Search:
    """An unanswered submit whose credential's task list is being read."""

    template: ActionTemplate
    gathered: "Future[Gathered]"


def _decide(template: ActionTemplate, gathered: Gathered, *, now: datetime) -> int:
    reconcile.decide(template, gathered, now=now)
    return 1


def _guarded(part: Callable[[], int]) -> int:
    """A part of a pass: a bug in one keeps no other from being done, a database that is away ends the pass."""
    try:
        return part()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("part of a pass failed")
        return 0


def _gather(question: Question, asking: Asking) -> Gathered:
    return reconcile.gather(asking.client, question, before_call=asking.wait)


class _Beside:
    """One piece of work at a time in a thread of its own; beside one that hangs, another after a while."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._started_at = -math.inf

    def start(self, work: Callable[[], object]) -> None:
        """Begin it, unless the last one is still at it."""
        if self._thread is not None and self._thread.is_alive():
            if time.monotonic() - self._started_at < _BESIDE_SECONDS:
                logger.warning("still at work beside the loop")
                return
            # Everything it does is a conditional update: that it may come back does no harm.
            logger.error("hangs beside the loop")
        self._started_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(work,), name="sweep", daemon=True)
        self._thread.start()

    @staticmethod
    def _run(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            logger.exception("work beside the loop failed")
        finally:
            connections.close_all()
