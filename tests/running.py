"""Commands as real processes: their lines, their end, and what they leave behind."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def environment(data: Path, **more: str) -> dict[str, str]:
    """A plain user's environment with this data folder: nothing configured, the product's own settings."""
    unwanted = ("DJANGO_SETTINGS_MODULE", "DASHSCOPE_", "OSS_", "TEMPLATEGEN_", "DATABASE_URL", "REDIS_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "TEMPLATEGEN_DATA": str(data), **more}


def wait_until(condition: Callable[[], Any], *, seconds: float = 60.0, what: str = "it") -> Any:
    """The condition's first true answer; an AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return answer


def processes_of(data: Path) -> dict[int, str]:
    """Every living process whose environment names this data folder, with its command line (Linux)."""
    mark = f"TEMPLATEGEN_DATA={data}\0".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            alive = "State:\tZ" not in (folder / "status").read_text()
            if alive and mark in (folder / "environ").read_bytes() + b"\0":
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def run(data: Path, *arguments: str, seconds: float = 100.0, **more: str) -> subprocess.CompletedProcess[str]:
    """A management command to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=environment(data, **more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _listen_to_ctrl_c() -> None:
    """What a shell starts with ``&`` inherits a deaf ear for it, and so would the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A management command that goes on: its output is collected while it runs."""

    def __init__(self, data: Path, *arguments: str, **more: str) -> None:
        self.data = data
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=environment(data, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_listen_to_ctrl_c,  # noqa: PLW1509 -- one call that takes no lock
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        """Everything it has printed."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, *, seconds: float = 60.0, after: int = 0) -> re.Match[str]:
        """The first match in what it printed (from line ``after`` on)."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, "\n".join(self.lines[after:]))

        try:
            match: re.Match[str] = wait_until(found, seconds=seconds)
        except AssertionError:
            raise AssertionError(f"{pattern!r} was not printed:\n{self.text}") from None
        return match

    def end(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 60.0) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds: float = 60.0) -> int:
        """Its exit status, once it ends; whatever it forgot is not waited for."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


@contextmanager
def running(data: Path, *arguments: str, **more: str) -> Iterator[Running]:
    """A command that is ended, with whatever it started, when the block is left."""
    command = Running(data, *arguments, **more)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.terminate()
            try:
                command.process.wait(30)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait(5)
        for pid in processes_of(data):
            os.kill(pid, signal.SIGKILL)
        if command.process.stdout is not None:
            command._reader.join(2)
            command.process.stdout.close()


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """One GET on loopback: status, headers, body. Redirects are not followed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")
    finally:
        connection.close()
