"""Starts the sandbox as a real process, for every test that needs OSS or DashScope. The only place that does."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port

ACCESS_KEY_ID = "sandbox"
ACCESS_KEY_SECRET = "sandbox-secret"
API_KEY = "sk-sandbox"
BUCKET = "templategen"
REGION = "cn-beijing"
# Quick by default: tests that are about run time or about rates set these themselves.
QUICK: dict[str, Any] = {
    "run_seconds": 0,
    "run_spread": 0,
    "running_tasks": 1,
    "retention_hours": 24,
    "submits_per_second": None,
    "queries_per_second": None,
    "retry_after_seconds": None,
    "download_seconds": 60,
    "skip_download": False,
    "allow_v1": False,
    "list_lag_seconds": 0,
    "list_page_max": 100,
    "list_page_clamp": False,
    "clock_offset_seconds": 0,
    "utc_offset_hours": 8,
    "idle_seconds": 75,
    "api_error": "",
    "keep": False,
}
# Bounds that only a machine with too much to do comes near.
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def control(port: int, method: str, path: str, content: object = None) -> Any:
    """One control call to the sandbox on a port; raises ValueError when it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body = json.dumps(content if content is not None else {})
        connection.request(method, f"/_sandbox/{path}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(found)
    return found


class Sandbox:
    """One sandbox process with its data folder. `restart` keeps port, data and settings."""

    def __init__(self, data: Path, *arguments: str, port: int | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self._arguments = arguments
        self._wanted: dict[str, Any] = dict(QUICK)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Base address, also the OSS endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """The base URL as DashScope clients want it."""
        return self.url + "/api/v1"

    @property
    def pid(self) -> int:
        """The process ID."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait for its ready line."""
        options = [f"--set={name}={json.dumps(value)}" for name, value in self._wanted.items()]
        command = [sys.executable, "-m", "templategen.sandbox", "--port", str(self.port), "--data", str(self.data)]
        self._process = subprocess.Popen(
            [*command, *options, *self._arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if not line.startswith("sandbox ready on "):
            self.kill()
            raise RuntimeError(f"the sandbox did not start: {line!r}")

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, as a crash would."""
        return self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) and start again on the same data."""
        self.kill() if kill else self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(10)
        finally:
            if process.stdout is not None:
                process.stdout.close()

    def forget_key(self, api_key: str) -> None:
        """Start again without this API key: its Alibaba account deleted it. Tasks and other keys stay."""
        self._arguments = tuple(each for each in self._arguments if not each.startswith(f"--api-key={api_key}="))
        self.restart()

    def settings(self, **changes: Any) -> None:
        """Change settings now; they also hold after a `restart`."""
        self.control("PATCH", "settings", changes)
        self._wanted |= changes

    def quick(self) -> None:
        """Back to what tests start with: quick settings, no faults."""
        if self._wanted != QUICK:
            self.settings(**QUICK)
        self.clear_faults()

    def fault(self, where: str, kind: str, **options: Any) -> None:
        """Let something go wrong; see docs/sandbox.md."""
        self.control("POST", "faults", {"where": where, "kind": kind, **options})

    def make_tasks(self, count: int, **options: Any) -> list[str]:
        """Have tasks at once, without clips and submits; their IDs. See docs/sandbox.md."""
        ids: list[str] = self.control("POST", "tasks", {"count": count, **options})["task_ids"]
        return ids

    def ends(self, after: int = 0) -> tuple[list[tuple[str, float]], int]:
        """Which tasks ended and when (epoch seconds), in that order, and what to pass as ``after`` next time."""
        found = self.control("GET", f"ends?after={after}")
        return [(task_id, ended) for task_id, ended in found["ends"]], found["next"]

    def cut_idle_connections(self) -> int:
        """End every connection that waits for its next request."""
        return int(self.control("DELETE", "connections")["cut"])

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self.control("DELETE", "faults")

    def tasks(self) -> list[dict[str, Any]]:
        """Every task ever submitted here, of all accounts, oldest first, with everything known of it."""
        tasks: list[dict[str, Any]] = self.control("GET", "tasks")
        return tasks

    def overview(self) -> dict[str, Any]:
        """Settings, faults, counts."""
        overview: dict[str, Any] = self.control("GET", "")
        return overview

    def wait_for(self, task_id: str, *statuses: str, seconds: float = 60.0) -> dict[str, Any]:
        """The task once it has one of these statuses (default: any final one)."""
        wanted = statuses or ("SUCCEEDED", "FAILED", "CANCELED")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            task: dict[str, Any] | None = next(iter(self.control("GET", f"tasks?task_id={task_id}")), None)
            if task and task["status"] in wanted:
                return task
            time.sleep(0.02)
        raise AssertionError(f"task {task_id} did not become {wanted}: {task}")

    def control(self, method: str, path: str, content: object = None) -> Any:
        """One control call."""
        return control(self.port, method, path, content)
