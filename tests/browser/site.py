"""A whole site as real processes: gunicorn, worker, and a sandbox for OSS and DashScope."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, with an account of their own."""

    email: str
    slug: str
    session: str


class Site:
    """Started on making, ended by `stop`. `person()` gives somebody that no other test has had."""

    def __init__(self, folder: Path, *, people: int = 150, with_worker: bool = True) -> None:
        self.sandbox = Sandbox(folder / "sandbox")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "site.log"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OSS_", "DASHSCOPE_"))},
            "DJANGO_SETTINGS_MODULE": "templategen.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "TEMPLATEGEN_DATA": str(folder / "data"),
            "TEMPLATEGEN_SITE_URL": self.url,
            "TEMPLATEGEN_SANDBOX_URL": self.sandbox.url,
        }
        try:
            self._prepare(people)
            self._start(
                "-m", "gunicorn", "templategen.wsgi", "--bind", f"127.0.0.1:{self.port}",
                "--worker-class", "gthread", "--threads", "8", "--workers", "1",
            )  # fmt: skip
            if with_worker:
                self._start("manage.py", "worker")
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def person(self) -> Person:
        """The next one."""
        return self._people.pop()

    def gallery(self, person: Person) -> str:
        """Address of their gallery."""
        return f"{self.url}/a/{person.slug}/"

    @property
    def web_pid(self) -> int:
        """gunicorn's own process; its worker is a child of it."""
        return self._processes[0].pid

    def stop(self) -> None:
        """End every process."""
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
        self.sandbox.stop()

    def _prepare(self, people: int) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tests.browser.prepare", str(people)],
            cwd=ROOT, env=self._environment, check=False, capture_output=True, text=True, timeout=START_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        self.cookie: str = made["cookie"]
        self._people = [Person(**person) for person in made["people"]]

    def _start(self, *command: str) -> None:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        self._processes.append(process)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/sign-in/", timeout=5):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)
