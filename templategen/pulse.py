"""Proof that a queue cluster works, told to the worker command that started it.

A cluster of django-q2 can freeze for ever without anybody noticing (django-q2 #23): whichever of its processes is
killed while it waits at an internal queue takes that queue's semaphore along, and every other process then waits, alive
and idle. So a heartbeat goes the whole way of a task every few seconds, busy or not: the pusher hands it to the workers
as if it had come from the broker, a worker runs it, the monitor books it. It never lies in the broker, where a
neighbour on the same database could take it: what it proves, it proves of this cluster.

What is told goes through a pipe that the cluster inherits, a few bytes each: no database, no clock, and nothing that a
killed process could leave half done. The other end is ``management/queue_watch.py``.
"""

import contextlib
import os
import time
import uuid
from typing import Any

from django.utils import timezone
from django_q.brokers import Broker
from django_q.conf import Conf
from django_q.signals import post_execute, post_execute_in_worker, pre_execute
from django_q.signing import SignedPackage

TOLD_BY = "TEMPLATEGEN_PULSE"
"""In a cluster's environment: the pipe's number and the seconds from heartbeat to heartbeat, as ``7:10.0``."""
STARTED, ENDED, BOOKED = b"started", b"ended", b"booked"
"""A line is one of these and the number of the process that did it: a worker a task other than a heartbeat, a worker
any, the monitor any."""
_HEARTBEAT = "heartbeat"


def told_by(pipe: int, *, every_s: float) -> dict[str, str]:
    """What makes a cluster tell: for its environment."""
    return {TOLD_BY: f"{pipe}:{every_s}"}


class _Beating:
    """Gives a heartbeat out now and then, before what the broker holds. Only in a cluster that somebody watches."""

    _next_at = 0.0

    def dequeue(self) -> Any:
        now = time.monotonic()
        if _every_s is None or now < self._next_at:
            return super().dequeue()  # type: ignore[misc]  # mixed into a Broker
        self._next_at = now + _every_s
        # Not acknowledged, for it lies nowhere.
        return [(None, SignedPackage.dumps(_heartbeat()))]


def _heartbeat() -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "name": _HEARTBEAT,
        "func": "templategen.jobs.heartbeat",
        "args": (),
        "kwargs": {},
        "started": timezone.now(),
        "ack_failure": True,
    }


def broker(list_key: str | None = None) -> Broker:
    """The configured broker, with heartbeats: for ``Q_CLUSTER["broker_class"]``, which takes any callable."""
    # Imported here: the driver of the one that is not configured may not be installed.
    if Conf.ORM:
        from django_q.brokers.orm import ORM as Configured  # noqa: PLC0415, N811
    else:
        from django_q.brokers.redis_broker import Redis as Configured  # noqa: PLC0415
    return type("Broker", (_Beating, Configured), {})(list_key=list_key)


def _tell(what: bytes) -> None:
    # A full pipe, or nobody there to read it: work goes on all the same.
    with contextlib.suppress(OSError):
        os.write(_pipe, b"%s %d\n" % (what, os.getpid()))


def _started(*, task: dict[str, Any], **_signal: Any) -> None:
    if task["name"] != _HEARTBEAT:
        _tell(STARTED)


def _ended(**_signal: Any) -> None:
    _tell(ENDED)


def _booked(**_signal: Any) -> None:
    _tell(BOOKED)


_pipe: int = -1
_every_s: float | None = None
if TOLD_BY in os.environ:
    _number, _seconds = os.environ[TOLD_BY].split(":")
    _pipe, _every_s = int(_number), float(_seconds)
    pre_execute.connect(_started)
    post_execute_in_worker.connect(_ended)
    post_execute.connect(_booked)
