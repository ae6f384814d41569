"""Does the queue work, and does the conductor? Judged from outside, for what is frozen says nothing itself.

Time is counted by ``RunningTime``: while this process itself did not run (stopped, the machine asleep or overloaded),
nobody is blamed for having been silent.
"""

import contextlib
import os
import time

from templategen import pulse

BOUND_S = 40.0
START_BOUND_S = 90.0
"""A cluster that has not shown life yet is still loading: on a busy machine that takes its time."""
CONDUCTOR_BOUND_S = 180.0
_READ_BYTES = 65536


class RunningTime:
    """Seconds that this process has run: what passes between two ``tick`` counts as ``longest_s`` at most."""

    def __init__(self, *, longest_s: float = 2.0) -> None:
        self.now = 0.0
        self._longest_s = longest_s
        self._ticked_at = time.monotonic()

    def tick(self) -> None:
        """Go on counting; to be called several times a second."""
        at = time.monotonic()
        self.now += min(at - self._ticked_at, self._longest_s)
        self._ticked_at = at


class QueueWatch:
    """What one cluster tells (``pulse.py``), and whether it has been silent for too long.

    Heartbeats come every ``every_s``, so silence means frozen, unless every worker is busy. The last word tells: an
    idle worker's last was that it ended a task, and the next heartbeat is its own; if the last word is that one
    started, all may be busy, for as long as that one lives and a task may last (``longest_task_s``). And what a worker
    ended, the monitor must book.
    """

    def __init__(self, clock: RunningTime, *, bound_s: float, longest_task_s: float) -> None:
        self.every_s = min(10.0, bound_s / 4)
        self._clock = clock
        self._bound_s = bound_s
        self._longest_task_s = longest_task_s
        self._reading, self.pipe = os.pipe()
        os.set_blocking(self._reading, False)
        # The cluster never waits for its reader.
        os.set_blocking(self.pipe, False)
        self.restarted()

    def restarted(self) -> None:
        """A new cluster: what the old one told counts no more."""
        self._hear()
        self._silent_from = self._clock.now + max(START_BOUND_S - self._bound_s, 0.0)
        self._unbooked_from: float | None = None
        self._busy: int | None = None
        self._busy_until = 0.0

    def frozen(self) -> bool:
        """Listen, and judge."""
        now = self._clock.now
        for line in self._hear().splitlines():
            word, _space, number = line.partition(b" ")
            self._take(word, int(number), now)
        if self._busy is not None:
            if now < self._busy_until and _lives(self._busy):
                self._silent_from = now
            else:
                self._busy = None
        since = self._silent_from if self._unbooked_from is None else min(self._silent_from, self._unbooked_from)
        return now - since > self._bound_s

    def close(self) -> None:
        """Stop listening."""
        os.close(self._reading)
        os.close(self.pipe)

    def _hear(self) -> bytes:
        """Whole lines: a writer's few bytes come all at once or not at all."""
        heard = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._reading, _READ_BYTES):
                heard += part
        return heard

    def _take(self, word: bytes, number: int, now: float) -> None:
        if word == pulse.BOOKED:
            self._unbooked_from = None
            return
        self._silent_from = now
        self._busy = number if word == pulse.STARTED else None
        self._busy_until = now + self._longest_task_s
        if word == pulse.ENDED and self._unbooked_from is None:
            self._unbooked_from = now


def _lives(process: int) -> bool:
    """Whether it runs; the sentinel collects a dead one within a second."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class LoopWatch:
    """Whether a number that a loop sets on each of its rounds has stood still for too long."""

    def __init__(self, clock: RunningTime, *, bound_s: float) -> None:
        self._clock = clock
        self._bound_s = bound_s
        self._mark: object = None
        self._moved_at = clock.now

    def hangs(self, mark: float | None) -> bool:
        """``mark``: the number as it is now; None where there is none yet, which proves nothing."""
        if mark is None or mark != self._mark:
            self._mark, self._moved_at = mark, self._clock.now
        return self._clock.now - self._moved_at > self._bound_s
