"""``manage.py worker``: the queue's processes under a watchdog, and the conductor."""

import contextlib
import logging
import sys
import threading
import time
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections
from django.utils.translation import gettext as _

from templategen import pulse
from templategen.conductor import Conductor
from templategen.management.asked import AskedToStop
from templategen.management.at_home import require_home
from templategen.management.children import manage
from templategen.management.queue_watch import BOUND_S, CONDUCTOR_BOUND_S, LoopWatch, QueueWatch, RunningTime
from templategen.supervise import Command as Child
from templategen.supervise import Supervisor

logger = logging.getLogger(__name__)

QUEUE = "queue"
PAUSE_S = 0.2
CONDUCTOR_STOP_S = 5.0
GRACE_S = 3.0
"""django-q2 kills a task that overran its time-out after this long."""


class Command(BaseCommand):
    """Several may run, on several machines: each has a queue of its own, one of them at a time conducts."""

    help = _("Runs background work: supervises the queue (qcluster) and conducts templates. SIGTERM stops it.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How patient to be."""
        parser.add_argument(
            "--stop-seconds",
            type=float,
            default=35.0,
            help=_("Seconds that work in hand may take when stopped, before it is killed (it comes back by itself)."),
        )
        parser.add_argument(
            "--watch-seconds",
            type=float,
            default=BOUND_S,
            help=_("Seconds after which a queue that shows no life is killed and started anew."),
        )
        parser.add_argument(
            "--conductor-seconds",
            type=float,
            default=CONDUCTOR_BOUND_S,
            help=_("Seconds after which a conductor that does not come round ends the worker with exit status 1."),
        )

    def handle(self, *, stop_seconds: float, watch_seconds: float, conductor_seconds: float, **_options: Any) -> None:
        """Run until asked to stop. Exit status 1 when the conductor ended by itself, or hangs."""
        require_home()
        asked = AskedToStop()
        supervisor, conducting, clock = Supervisor(self._say), _Conducting(), RunningTime()
        longest = settings.Q_CLUSTER["timeout"] + GRACE_S
        queue = QueueWatch(clock, bound_s=watch_seconds, longest_task_s=longest)
        loop = LoopWatch(clock, bound_s=conductor_seconds)
        supervisor.start(_queue(queue, stop_seconds))
        conducting.start()
        while not asked.once() and not conducting.ended.is_set():
            time.sleep(PAUSE_S)
            clock.tick()
            supervisor.tend()
            self._watch(queue, supervisor)
            if loop.hangs(conducting.last_pass_at):
                logger.error("conductor hangs")
                break
        conducting.stop.set()
        supervisor.stop([QUEUE], hurry=asked.again)
        queue.close()
        if not asked.once():
            sys.exit(1)
        conducting.thread.join(CONDUCTOR_STOP_S)
        connections.close_all()

    def _watch(self, queue: QueueWatch, supervisor: Supervisor) -> None:
        if not supervisor.alive(QUEUE):
            queue.restarted()
        elif queue.frozen():
            self._say(_("The queue shows no life: killed."))
            supervisor.kill(QUEUE)

    def _say(self, text: str) -> None:
        """To whoever looks on, or as one of the log's lines where something else reads them."""
        if settings.LOG_FORMAT == "json":
            logger.info(text)
            return
        # A reader that went away, or a log on a full disk, stops no work.
        with contextlib.suppress(OSError):
            self.stdout.write(text)
            self.stdout.flush()


def _queue(watch: QueueWatch, stop_seconds: float) -> Child:
    child = manage(QUEUE, "qcluster", stop_seconds=stop_seconds)
    told = pulse.told_by(watch.pipe, every_s=watch.every_s)
    return replace(child, env={**child.env, **told}, pass_fds=(watch.pipe,))


class _Conducting:
    """The conductor in its thread. Whatever ends it is told to the log, and ends the worker, which is started anew."""

    def __init__(self) -> None:
        self.stop, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, name="conductor", daemon=True)
        self._conductor: Conductor | None = None

    def start(self) -> None:
        self.thread.start()

    @property
    def last_pass_at(self) -> float | None:
        """A number that changes while it goes on."""
        return getattr(self._conductor, "last_pass_at", None)

    def _run(self) -> None:
        try:
            self._conductor = Conductor()
            self._conductor.run(self.stop)
        except Exception:
            logger.exception("conductor ended")
        finally:
            self.ended.set()
            connections.close_all()
