"""Children that end, that will not end, and that leave something behind."""

import contextlib
import errno
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from templategen import supervise
from templategen.management.commands import worker
from templategen.supervise import CombinedLog, Command, Supervisor, ending
from tests.running import wait_until


class Room:
    """A supervisor with what it said and what its children printed."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stream = io.StringIO()
        self.supervisor = Supervisor(self.said.append, CombinedLog(self.stream))

    def start(self, name: str, program: str, *, stop_seconds: float = 30.0) -> None:
        self.supervisor.start(Command(name, (sys.executable, "-c", program), os.environ, stop_seconds))

    def tend_until(self, condition: Callable[[], object], what: str) -> None:
        def tended() -> object:
            self.supervisor.tend()
            return condition()

        wait_until(tended, what=what)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def room() -> Iterator[Room]:
    """Everything in it is stopped at the end."""
    made = Room()
    yield made
    made.supervisor.stop(list(made.supervisor._children), hurry=lambda: True)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


FOREVER = "import time\nwhile True: time.sleep(1)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\n" + FOREVER
PARENT = (
    "import os, signal, subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
    "print(child.pid, flush=True)\n"
)


def test_a_child_s_lines_carry_its_name_and_no_control_characters(room: Room) -> None:
    room.start("web", r"print('one\x1b[31m'); print('two', end='')")
    room.tend_until(lambda: len(room.lines) >= 2, "two lines")
    assert room.lines[:2] == ["web | one?[31m", "web | two"]


def test_a_child_that_ends_is_started_again_later_each_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.1)
    room.start("web", "raise SystemExit(3)")
    looks = []

    def three_ends() -> bool:
        looks.append(time.monotonic())
        return len(room.said) >= 3

    room.tend_until(three_ends, "three ends")
    assert all(line.startswith("web ended (exit status 3)") for line in room.said)
    child = room.supervisor._children["web"]
    # From when it was found ended, which was after the last look but one.
    assert child.start_at - looks[-2] > 0.2


def test_a_machine_that_can_start_nothing_now_is_asked_again_later(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.05)
    room.start("child", "import time; time.sleep(0.1)")
    with monkeypatch.context() as patch:

        def full(*_args: object, **_more: object) -> None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        room.tend_until(lambda: not room.supervisor.alive("child"), "its end")
        patch.setattr(subprocess, "Popen", full)
        room.tend_until(lambda: any("temporarily" in line for line in room.said), "a word about it")
    room.tend_until(lambda: room.supervisor.alive("child"), "its start")


def test_what_a_child_forked_dies_with_it(room: Room) -> None:
    room.start("web", PARENT + "os.kill(os.getpid(), signal.SIGKILL)")
    room.tend_until(lambda: room.said, "the end")
    assert room.said == ["web ended (by signal SIGKILL); starting it again in 1 s."]
    wait_until(lambda: room.lines, what="the grandchild's number")
    grandchild = int(room.lines[0].removeprefix("web | "))
    wait_until(lambda: not is_alive(grandchild), what="the grandchild's end")


def test_a_child_that_ignores_sigterm_is_killed_after_its_bound_and_so_is_what_it_forked(room: Room) -> None:
    room.start("web", PARENT + STUBBORN, stop_seconds=0.3)
    wait_until(lambda: len(room.lines) == 2, what="both lines")
    began = time.monotonic()
    room.supervisor.stop(["web"])
    assert 0.3 <= time.monotonic() - began < 20
    assert room.said == ["web does not stop: killed."]
    child = int(room.lines[0].removeprefix("web | "))
    wait_until(lambda: not is_alive(child), what="the end of what it forked")


def test_a_hurry_kills_at_once(room: Room) -> None:
    room.start("web", STUBBORN, stop_seconds=60)
    wait_until(lambda: room.lines, what="the start")
    began = time.monotonic()
    room.supervisor.stop(["web"], hurry=lambda: True)
    # Its bound is a minute.
    assert time.monotonic() - began < 30


def test_a_child_that_stops_when_asked_is_not_started_again(room: Room) -> None:
    room.start("web", FOREVER)
    room.supervisor.stop(["web"])
    room.supervisor.tend()
    assert room.said == []


def test_a_command_that_is_not_there_is_said_so(room: Room) -> None:
    room.supervisor.start(Command("web", ("/nowhere/program",), os.environ))
    room.tend_until(lambda: room.said, "the end")
    assert room.said[0].startswith("web ended (exit status 127)")
    wait_until(lambda: room.lines == ["web | /nowhere/program: No such file or directory"], what="the reason")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_on_a_full_disk_stops_no_worker() -> None:
    said = []
    # Closed with what it could not write in it.
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        worker.Command(stdout=full)._say("The queue shows no life: killed.")
        said.append("all")
    assert said == ["all"]


def test_a_reader_that_went_away_stops_nothing() -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    CombinedLog(Gone()).line("up", "nobody reads this")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit status 0"),
        (1, "exit status 1"),
        (-9, "by signal SIGKILL"),
        (137, "by signal SIGKILL"),
        (255, "exit status 255"),
    ],
)
def test_an_exit_status_in_words(code: int, words: str) -> None:
    assert ending(code) == words
