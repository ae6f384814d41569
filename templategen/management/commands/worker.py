"""``manage.py worker``: the queue's processes under a watchdog, and the conductor."""

import logging
import sys
import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import OperationalError, close_old_connections, connections
from django.utils.translation import gettext as _

from templategen.conductor import Conductor
from templategen.management.asked import AskedToStop
from templategen.management.children import manage
from templategen.management.queue_watch import BOUND_S, QueueWatch
from templategen.supervise import Supervisor

logger = logging.getLogger(__name__)

QUEUE = "queue"
PAUSE_S = 0.2
WATCH_EVERY_S = 5.0
CONDUCTOR_STOP_S = 5.0


class Command(BaseCommand):
    """Several may run, on several machines: each has a queue of its own, one of them at a time conducts."""

    help = _("Runs background work: supervises the queue (qcluster) and conducts templates. SIGTERM stops it.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How patient to be."""
        parser.add_argument(
            "--stop-seconds",
            type=float,
            default=20.0,
            help=_("Seconds that work in hand may take when stopped, before it is killed (it comes back by itself)."),
        )
        parser.add_argument(
            "--watch-seconds",
            type=float,
            default=BOUND_S,
            help=_("Seconds after which a queue that does not move though work is waiting is killed and started anew."),
        )

    def handle(self, *, stop_seconds: float, watch_seconds: float, **_options: Any) -> None:
        """Run until asked to stop. Exit status 1 when the conductor ended by itself."""
        asked = AskedToStop()
        supervisor = Supervisor(self._say)
        supervisor.start(manage(QUEUE, "qcluster", stop_seconds=stop_seconds))
        stop, ended = threading.Event(), threading.Event()
        thread = threading.Thread(target=_conduct, args=(stop, ended), name="conductor", daemon=True)
        thread.start()
        watch, watched_at = QueueWatch(watch_seconds), time.monotonic()
        while not asked.once() and not ended.is_set():
            time.sleep(PAUSE_S)
            supervisor.tend()
            if time.monotonic() - watched_at >= min(WATCH_EVERY_S, watch_seconds / 4):
                watched_at = time.monotonic()
                self._watch(watch, supervisor)
        stop.set()
        supervisor.stop([QUEUE], hurry=asked.again)
        thread.join(CONDUCTOR_STOP_S)
        connections.close_all()
        if not asked.once():
            sys.exit(1)

    def _watch(self, watch: QueueWatch, supervisor: Supervisor) -> None:
        close_old_connections()
        try:
            frozen = watch.frozen(supervisor.age_seconds(QUEUE))
        except OperationalError as problem:
            # The database is away: nothing can be said of the queue, and killing it would mend nothing.
            logger.warning("watchdog could not ask the database", extra={"problem": type(problem).__name__})
            return
        if frozen:
            self._say(_("The queue stands still though work is waiting: killed."))
            supervisor.kill(QUEUE)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _conduct(stop: threading.Event, ended: threading.Event) -> None:
    """The conductor's thread. Whatever ends it is told to the log, and ends the worker, which is started anew."""
    try:
        Conductor().run(stop)
    except Exception:
        logger.exception("conductor ended")
    finally:
        ended.set()
        connections.close_all()
