"""A deploy in the midst of it: web and worker get SIGTERM, and nothing is lost, stuck, or paid for twice."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clips import make_clip
from tests.ports import free_port
from tests.running import ROOT, Running, environment, get, processes_of, running, wait_until
from tests.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left-over processes in /proc")
# Seconds where the product counts in minutes.
QUICK = {
    # Longer than submits last here, also on a busy machine.
    "DASHSCOPE_TIMEOUT_SECONDS": "10",
    "LAUNCH_LEASE_SECONDS": "2",
    "CHECK_LEASE_SECONDS": "8",
    "LEASE_SECONDS": "4",
    "SWEEP_SECONDS": "1",
    "RECONCILE_SKEW_SECONDS": "1",
    "RECONCILE_SETTLE_SECONDS": "8",
}


@dataclass
class Site:
    """A data folder, its sandbox, and a browser that is signed in."""

    data: Path
    sandbox: Sandbox
    port: int
    more: dict[str, str]
    browser: requests.Session
    uploads_url: str

    @contextmanager
    def web(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ["-m", "gunicorn", "-c", "python:templategen.gunicorn_config", "templategen.wsgi"]
        bind = ["--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        process = subprocess.Popen(
            [sys.executable, *command, *bind], cwd=ROOT, env=environment(self.data, **self.more), start_new_session=True
        )
        try:
            wait_until(self._answers, what="the web process")
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def worker(self, *, stop_seconds: float = 15.0) -> Iterator[Running]:
        with running(self.data, "worker", "--stop-seconds", str(stop_seconds), **self.more) as command:
            yield command

    def _answers(self) -> bool:
        try:
            return get(self.port, "/healthz")[0] == 200
        except OSError:
            return False

    def post(self, path: str, content: object) -> requests.Response:
        return self.browser.post(f"http://127.0.0.1:{self.port}{path}", json=content, timeout=30)

    def begin(self, clip: Path) -> dict[str, Any]:
        size = clip.stat().st_size
        answer = self.post(self.uploads_url, {"file_name": clip.name, "size": size, "fingerprint": clip.name})
        assert answer.status_code == 201, answer.text
        return answer.json()["upload"]

    def send(self, upload: dict[str, Any], clip: Path) -> None:
        assert requests.put(upload["urls"]["1"], data=clip.read_bytes(), timeout=10).status_code == 200

    def finish(self, upload: dict[str, Any]) -> requests.Response:
        return self.post(upload["finish_url"], {})

    def rows(self) -> dict[str, dict[str, Any]]:
        with closing(sqlite3.connect(self.data / "sandbox.sqlite3", timeout=20)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT name, state, sent_at, template_id FROM templategen_actiontemplate")
            return {row["name"]: dict(row) for row in found}

    def wait_for_states(self, wanted: dict[str, str], *, seconds: float = 90.0) -> None:
        def there() -> bool:
            return {name: row["state"] for name, row in self.rows().items()} == wanted

        wait_until(there, seconds=seconds, what=f"{wanted}")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A data folder with a database, and what its one person's browser knows."""
    folder = tmp_path_factory.mktemp("prepared")
    made = subprocess.run(
        [sys.executable, "-m", "tests.chaos.prepare", "1"],
        cwd=ROOT,
        env=environment(folder, DJANGO_SETTINGS_MODULE="templategen.settings"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder, json.loads(made.stdout)


@pytest.fixture
def site(prepared: tuple[Path, dict[str, Any]], tmp_path: Path, own_sandbox: Sandbox) -> Iterator[Site]:
    folder, known = prepared
    data, port = tmp_path / "data", free_port()
    shutil.copytree(folder, data)
    addresses = {"TEMPLATEGEN_SITE_URL": f"http://127.0.0.1:{port}", "TEMPLATEGEN_SANDBOX_URL": own_sandbox.url}
    [person] = known["people"]
    with requests.Session() as browser:
        browser.cookies.update({known["cookie"]: person["session"], "csrftoken": "c" * 32})
        browser.headers.update({"X-CSRFToken": "c" * 32, "Accept": "application/json", "Connection": "close"})
        yield Site(data, own_sandbox, port, {**QUICK, **addresses}, browser, f"/a/{person['slug']}/uploads/")


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Each with other bytes."""
    return [make_clip(tmp_path / f"{name}.mp4", seconds=2.0 + 0.25 * n) for n, name in enumerate("abcd")]


def test_a_deploy_in_the_midst_of_uploads_and_of_a_slow_submit_loses_nothing(site: Site, clips: list[Path]) -> None:
    submitting, finishing, sent, begun = clips
    finished: list[requests.Response] = []
    with site.web() as web, site.worker() as worker:
        site.sandbox.fault("submit", "answer_late", seconds=2)
        uploads = {clip: site.begin(clip) for clip in clips}
        for clip in (submitting, finishing, sent):
            site.send(uploads[clip], clip)
        assert site.finish(uploads[submitting]).status_code == 200
        wait_until(lambda: site.rows()["a"]["sent_at"], what="the paid call")
        site.sandbox.fault("oss-complete", "slow", seconds=1.5)
        thread = threading.Thread(target=lambda: finished.append(site.finish(uploads[finishing])))
        thread.start()
        # The fault is used up when the request has come to where it waits.
        wait_until(lambda: not site.sandbox.overview()["faults"], what="the request that is being worked on")
        web.terminate()
        worker.process.terminate()
        # What was running has been answered, the submit has been recorded, and both ended by themselves.
        assert (web.wait(60), worker.wait(60)) == (0, 0)
        thread.join(60)
        assert [answer.status_code for answer in finished] == [200]
        assert "does not stop" not in worker.text
        assert not processes_of(site.data)
    states = {name: row["state"] for name, row in site.rows().items()}
    assert states == {"a": "pending", "b": "checking", "c": "uploading", "d": "uploading"}
    with site.web(), site.worker():
        site.send(uploads[begun], begun)
        for clip in (sent, begun):
            assert site.finish(uploads[clip]).status_code == 200
        site.wait_for_states(dict.fromkeys("abcd", "ready"))
    ours = sorted(row["template_id"] for row in site.rows().values())
    assert ours == sorted(task["template_id"] for task in site.sandbox.tasks())


def test_a_submit_that_outlasts_the_bound_is_killed_looked_for_and_never_sent_twice(
    site: Site, clips: list[Path]
) -> None:
    clip = clips[0]
    with site.web():
        site.sandbox.fault("submit", "answer_late", seconds=2.5)
        with site.worker(stop_seconds=0.5) as worker:
            upload = site.begin(clip)
            site.send(upload, clip)
            assert site.finish(upload).status_code == 200
            wait_until(lambda: site.rows()["a"]["sent_at"], what="the paid call")
            time.sleep(0.3)
            assert worker.end() == 0
            assert "queue does not stop: killed." in worker.text
        assert site.rows()["a"]["state"] == "submitting"
        with site.worker():
            site.wait_for_states({"a": "ready"})
    [task] = site.sandbox.tasks()
    assert site.rows()["a"]["template_id"] == task["template_id"]


def test_a_second_sigterm_ends_a_worker_at_once(site: Site, clips: list[Path]) -> None:
    clip = clips[0]
    site.more["DASHSCOPE_TIMEOUT_SECONDS"] = "60"
    with site.web(), site.worker(stop_seconds=60) as worker:
        site.sandbox.fault("submit", "answer_late", seconds=60)
        upload = site.begin(clip)
        site.send(upload, clip)
        site.finish(upload)
        wait_until(lambda: site.rows()["a"]["sent_at"], what="the paid call")
        began = time.monotonic()
        worker.process.terminate()
        time.sleep(0.5)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert time.monotonic() - began < 30
        assert not [pid for pid, line in processes_of(site.data).items() if "gunicorn" not in line]


def test_a_unit_that_systemd_kills_after_its_bound_leaves_nothing(site: Site) -> None:
    # KillMode=mixed: SIGTERM to the main process, and after TimeoutStopSec SIGKILL to all that is left of the unit.
    with site.worker(stop_seconds=60) as worker:
        wait_until(lambda: any("qcluster" in line for line in processes_of(site.data).values()), what="the queue")
        for pid, line in processes_of(site.data).items():
            if "qcluster" in line and "guard.py" not in line:
                os.kill(pid, signal.SIGSTOP)
        worker.process.terminate()
        time.sleep(1)
        for pid in processes_of(site.data):
            os.kill(pid, signal.SIGKILL)
        worker.wait()
        wait_until(lambda: not processes_of(site.data), what="the end of all")


@pytest.mark.parametrize("name", ["web", "worker"])
def test_the_unit_files_are_ones_that_systemd_takes(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    unit = f"templategen-{name}.service"
    text = (ROOT / "docs" / "systemd" / unit).read_text()
    # Verified together with what it names: the paths of a site become ones that are here.
    text = text.replace("/srv/templategen/venv", sys.prefix).replace("/srv/templategen", str(ROOT))
    (tmp_path / unit).write_text(text.replace("User=templategen", "User=root"))
    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, check=False, timeout=30
    )
    ours = [line for line in verified.stderr.splitlines() if "templategen" in line]
    assert (verified.returncode, ours) == (0, []), verified.stderr
