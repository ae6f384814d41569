"""A whole site as real processes: started again when they die, as systemd would, and told apart by what they are."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.place import Place
from tests.running import ROOT, processes_of
from tests.sandbox import Sandbox

RESTART_SECONDS = 0.3
GUARD = ROOT / "templategen" / "guard.py"


@dataclass(frozen=True)
class Process:
    """One living process; ``role``: web, web worker, worker, guard, queue, sentinel, queue child or probe."""

    pid: int
    role: str


@dataclass
class _Unit:
    name: str
    argv: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0


@dataclass
class Site:
    """web and so many workers on a place, and its sandbox."""

    here: Place
    sandbox: Sandbox
    port: int
    workers: int = 1
    _units: list[_Unit] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _tender: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start all and keep them running; returns at once."""
        web = [
            "-m", "gunicorn", "-c", "python:templategen.gunicorn_config", "templategen.wsgi",
            "--bind", f"127.0.0.1:{self.port}",
        ]  # fmt: skip
        self._units.append(_Unit("web", web, self.here.folder / "web.log"))
        for number in range(self.workers):
            worker = ["manage.py", "worker", "--stop-seconds", "3", "--watch-seconds", "6"]
            self._units.append(_Unit("worker", worker, self.here.folder / f"worker-{number}.log"))
        for unit in self._units:
            self._launch(unit)
        self._tender = threading.Thread(target=self._tend, daemon=True)
        self._tender.start()

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        self._stop.set()
        if self._tender:
            self._tender.join()
        for unit in self._units:
            _kill_group(unit)
        for _again in range(20):
            left = processes_of(self.here.data)
            if not left:
                break
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def processes(self) -> list[Process]:
        """Every living process of the site (not the sandbox), with its role."""
        found = processes_of(self.here.data)
        parents = {pid: _parent(pid) for pid in found}
        return [Process(pid, role) for pid, line in found.items() if (role := _role(pid, line, found, parents))]

    def _tend(self) -> None:
        while not self._stop.wait(0.05):
            for unit in self._units:
                if unit.process is not None and unit.process.poll() is not None:
                    # Also after an orderly end, as systemd clears a unit's group.
                    _kill_group(unit)
                    unit.process, unit.start_at = None, time.monotonic() + RESTART_SECONDS
                if unit.process is None and time.monotonic() >= unit.start_at:
                    self._launch(unit)

    def _launch(self, unit: _Unit) -> None:
        with unit.log.open("ab") as log:
            unit.process = subprocess.Popen(
                # Under a guard, so that nothing stays when the test itself is killed.
                [sys.executable, "-I", "-S", str(GUARD), sys.executable, *unit.argv],
                cwd=ROOT, env=self.here.environment, stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip


def _kill_group(unit: _Unit) -> None:
    if unit.process is not None:
        with suppress(ProcessLookupError):
            os.killpg(unit.process.pid, signal.SIGKILL)
        unit.process.wait()
        assert unit.process.stdin is not None
        unit.process.stdin.close()


def _parent(pid: int) -> int:
    try:
        # The name in brackets may hold anything; what follows the last bracket does not.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _role(pid: int, line: str, lines: dict[int, str], parents: dict[int, int]) -> str:
    if "guard.py" in line:
        # The others are this module's own.
        return "guard" if "qcluster" in line else ""
    if "gunicorn" in line:
        return "web" if "guard.py" in lines.get(parents[pid], "guard.py") else "web worker"
    if "child.py" in line or "video.child" in line:
        return "probe"
    if "manage.py worker" in line:
        return "worker"
    if "manage.py qcluster" not in line:
        return ""
    depth, above = 0, parents[pid]
    while "manage.py qcluster" in lines.get(above, "") and "guard.py" not in lines[above]:
        depth, above = depth + 1, parents.get(above, 0)
    return ("queue", "sentinel", "queue child")[min(depth, 2)]
