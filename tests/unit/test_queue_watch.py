"""When a queue counts as frozen, by what it tells and by what it does not."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from templategen import pulse
from templategen.management.queue_watch import START_BOUND_S, LoopWatch, QueueWatch, RunningTime

BOUND, LONGEST = 40.0, 120.0
SOMEBODY = os.getpid()


class Told:
    """A watch, and the queue that it listens to."""

    def __init__(self) -> None:
        self.clock = RunningTime()
        self.watch = QueueWatch(self.clock, bound_s=BOUND, longest_task_s=LONGEST)

    def tell(self, word: bytes, process: int = SOMEBODY) -> None:
        os.write(self.watch.pipe, b"%s %d\n" % (word, process))
        assert not self.watch.frozen()

    def one_heartbeat(self) -> None:
        self.tell(pulse.ENDED)
        self.tell(pulse.BOOKED)

    def after(self, seconds: float) -> bool:
        """Whether it counts as frozen so much later."""
        self.clock.now += seconds
        return self.watch.frozen()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.watch.close()


def test_silence_after_a_heartbeat_is_a_freeze_once_the_bound_is_over(told: Told) -> None:
    told.one_heartbeat()
    assert not told.after(BOUND)
    assert told.after(1)


def test_heartbeats_keep_it_alive(told: Told) -> None:
    for _ in range(10):
        told.one_heartbeat()
        assert not told.after(BOUND - 1)


def test_a_starting_queue_is_given_time(told: Told) -> None:
    assert not told.after(START_BOUND_S)
    assert told.after(1)


def test_a_task_may_last_as_long_as_tasks_may_and_the_bound_begins_at_its_end(told: Told) -> None:
    told.one_heartbeat()
    told.tell(pulse.STARTED)
    assert not told.after(1)
    assert not told.after(LONGEST - 2)
    assert not told.after(BOUND)
    assert told.after(3)


def test_an_idle_worker_beside_a_busy_one_must_go_on_beating(told: Told) -> None:
    told.tell(pulse.STARTED)
    told.one_heartbeat()
    assert told.after(BOUND + 1)


def test_a_busy_worker_that_was_killed_excuses_nobody(told: Told) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    told.one_heartbeat()
    told.tell(pulse.STARTED, ended.pid)
    assert told.after(BOUND + 1)


def test_what_is_ended_must_be_booked(told: Told) -> None:
    told.one_heartbeat()
    for _ in range(4):
        told.tell(pulse.ENDED)
        told.tell(pulse.STARTED)
        assert not told.after(BOUND / 4)
    assert told.after(1)


def test_a_result_that_was_lost_is_forgiven_once_the_next_is_booked(told: Told) -> None:
    told.tell(pulse.ENDED)
    for _ in range(5):
        told.one_heartbeat()
        assert not told.after(BOUND / 2)


def test_what_the_last_queue_told_does_not_count_for_the_next(told: Told) -> None:
    told.tell(pulse.ENDED)
    assert told.after(0) is False
    told.watch.restarted()
    assert not told.after(BOUND + 1)


def test_a_full_pipe_is_read_to_its_end(told: Told) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(told.watch.pipe, b"%s 1\n" % pulse.ENDED)
    assert not told.watch.frozen()
    told.one_heartbeat()


def test_time_in_which_the_watcher_itself_did_not_run_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 100.0
    monkeypatch.setattr("templategen.management.queue_watch.time.monotonic", lambda: at)
    clock = RunningTime(longest_s=2.0)
    at = 101.0
    clock.tick()
    at = 4000.0
    clock.tick()
    assert clock.now == 3.0


def test_a_loop_hangs_when_its_number_stands_still_and_none_proves_nothing() -> None:
    clock = RunningTime()
    loop = LoopWatch(clock, bound_s=10.0)
    for mark, seconds, hangs in [
        (None, 60, False),
        (1.0, 60, False),
        (1.0, 9, False),
        (2.0, 9, False),
        (2.0, 11, True),
    ]:
        clock.now += seconds
        assert loop.hangs(mark) is hangs
