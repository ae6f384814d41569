"""Keeps child processes running: starts them, says when one ends, starts it again with back-off, stops them all.

Each child runs under ``guard.py`` in a session and process group of its own, so that a terminal's Ctrl-C reaches only
the supervisor, a kill reaches everything the child forked, and nothing stays when the supervisor itself is killed.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

from django.utils.translation import gettext as _

GUARD = Path(__file__).with_name("guard.py")
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
SOUND_AFTER_S = 60.0
"""A child that lived this long starts anew with the first pause."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_BYTES = 16 * 1024


class CombinedLog:
    """Lines of several sources on one stream, each with its source's name in front; in colour on a terminal only."""

    _COLOURS: Mapping[str, int] = {"up": 35, "web": 36, "worker": 33, "sandbox": 34}

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = stream.isatty()
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Write one line. A reader that went away (a closed pipe) stops nothing."""
        prefix = f"{name} |"
        if self._colour:
            prefix = f"\x1b[{self._COLOURS.get(name, 32)}m{prefix}\x1b[0m"
        try:
            with self._lock:
                self._stream.write(f"{prefix} {_CONTROL.sub('?', text)}\n")
                self._stream.flush()
        except (OSError, ValueError):
            return

    def take(self, name: str, pipe: IO[bytes]) -> threading.Thread:
        """Copy every line of a child's output, in a thread that ends with the output."""

        def copy() -> None:
            with pipe:
                while raw := pipe.readline(_LINE_BYTES):
                    self.line(name, raw.decode(errors="replace").rstrip("\r\n"))

        thread = threading.Thread(target=copy, name=f"log of {name}", daemon=True)
        thread.start()
        return thread


@dataclass(frozen=True)
class Command:
    """What a child runs. ``stop_seconds``: how long it may take to end after SIGTERM before its group is killed;
    ``pass_fds``: file descriptors of ours that it and its children have under the same numbers."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stop_seconds: float = 10.0
    pass_fds: tuple[int, ...] = ()


@dataclass
class _Child:
    command: Command
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    readers: list[threading.Thread] = field(default_factory=list)


class Supervisor:
    """Children by name. Not thread-safe: one thread calls it, ``tend`` several times a second.

    ``say`` takes what the supervisor itself has to say. With ``log`` the children's output goes there, line by line;
    without it they write to this process's own.
    """

    def __init__(self, say: Callable[[str], None], log: CombinedLog | None = None) -> None:
        self._say = say
        self._log = log
        self._children: dict[str, _Child] = {}

    def start(self, command: Command) -> None:
        """Start it now and keep it running from here on."""
        child = self._children[command.name] = _Child(command)
        self._launch(child)

    def tend(self) -> None:
        """Notice children that ended, and start again those whose pause is over."""
        for child in self._children.values():
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, child.process)
            if child.process is None and time.monotonic() >= child.start_at:
                self._launch_again(child)
        if os.getpid() == 1:
            self._collect_orphans()

    def alive(self, name: str) -> bool:
        """Whether it runs, as far as ``tend`` last saw."""
        return self._children[name].process is not None

    def age_seconds(self, name: str) -> float:
        """Seconds since it was last started; 0 while it is not running."""
        child = self._children[name]
        return time.monotonic() - child.started_at if child.process is not None else 0.0

    def kill(self, name: str) -> None:
        """SIGKILL it and everything it forked; ``tend`` then starts it again."""
        process = self._children[name].process
        if process is not None:
            _kill_group(process)

    def stop(self, names: Iterable[str], *, hurry: Callable[[], bool] = lambda: False) -> None:
        """SIGTERM these, wait for each as long as it may take, then SIGKILL its group; they are not started again.

        ``hurry`` is asked all the while: once it says yes, whatever still runs is killed.
        """
        children = [self._children.pop(name) for name in names if name in self._children]
        for child in children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        asked_at = time.monotonic()
        for child in children:
            if child.process is not None:
                self._wait_or_kill(child, child.process, until=asked_at + child.command.stop_seconds, hurry=hurry)
        for child in children:
            for reader in child.readers:
                reader.join(timeout=1.0)

    def _wait_or_kill(
        self, child: _Child, process: subprocess.Popen[bytes], *, until: float, hurry: Callable[[], bool]
    ) -> None:
        while process.poll() is None:
            if hurry() or time.monotonic() >= until:
                self._say(_("%(name)s does not stop: killed.") % {"name": child.command.name})
                break
            time.sleep(0.05)
        # Also after an orderly end: what it forked may be left.
        _kill_group(process)
        _close(process)

    def _collect_orphans(self) -> None:
        """As a container's first process: collect what others left behind, or it stays in the process table."""
        own = {child.process.pid for child in self._children.values() if child.process is not None}
        with contextlib.suppress(ChildProcessError):
            # Looked at first, for who ended among our own is told by poll(), in the next round.
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in own:
                os.waitpid(found.si_pid, 0)

    def _launch(self, child: _Child) -> None:
        command = child.command
        output = subprocess.PIPE if self._log else None
        child.process = subprocess.Popen(  # noqa: S603 -- our own commands
            [sys.executable, "-I", "-S", str(GUARD), *command.argv],
            env=dict(command.env),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if self._log else None,
            pass_fds=command.pass_fds,
            start_new_session=True,
        )
        child.started_at = time.monotonic()
        if self._log and child.process.stdout:
            child.readers = [reader for reader in child.readers if reader.is_alive()]
            child.readers.append(self._log.take(command.name, child.process.stdout))

    def _launch_again(self, child: _Child) -> None:
        """A machine without memory or processes to spare now may have some in a moment."""
        try:
            self._launch(child)
        except OSError as problem:
            self._put_off(child, problem.strerror or type(problem).__name__)

    def _bury(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        _kill_group(process)
        _close(process)
        if time.monotonic() - child.started_at >= SOUND_AFTER_S:
            child.deaths = 0
        self._put_off(child, ending(process.returncode))

    def _put_off(self, child: _Child, how: str) -> None:
        pause = min(FIRST_PAUSE_S * 2**child.deaths, LONGEST_PAUSE_S)
        child.deaths = min(child.deaths + 1, 10)
        child.process, child.start_at = None, time.monotonic() + pause
        self._say(
            _("%(name)s ended (%(how)s); starting it again in %(seconds)d s.")
            % {"name": child.command.name, "how": how, "seconds": pause}
        )


def ending(code: int) -> str:
    """An exit status in words; 128 and more is the guard's (and any shell's) way to tell a signal."""
    number = -code if code < 0 else code - 128
    if number > 0:
        try:
            return _("by signal %(signal)s") % {"signal": signal.Signals(number).name}
        except ValueError:
            pass
    return _("exit status %(code)d") % {"code": code}


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL the group and collect its head. The head may be gone already while its children are not."""
    # Nobody left; macOS says PermissionError where only zombies are.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
