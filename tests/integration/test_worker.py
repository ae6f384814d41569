"""`manage.py worker`, as a real process on a database of its own: what freezes, dies or hangs is found and cured."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests import servers
from tests.cluster import Cluster, children, cluster_of, is_alive
from tests.running import ROOT, Running, environment, processes_of, run, running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left-over processes in /proc")
WORKER = ("worker", "--watch-seconds", "3", "--stop-seconds", "5")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    ended = run(folder, "migrate", "--verbosity", "0")
    assert ended.returncode == 0, ended.stderr
    return folder / "sandbox.sqlite3"


@pytest.fixture
def data(migrated: Path, tmp_path: Path) -> Path:
    """A data folder with an empty database, of this test alone."""
    shutil.copy(migrated, tmp_path / "sandbox.sqlite3")
    return tmp_path


@pytest.fixture(scope="module", params=["orm", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """What the environment says of the queue's broker."""
    if request.param == "orm":
        yield {}
        return
    if not os.environ.get("TEST_REDIS_URL"):
        pytest.skip("wants Redis: python -m tests.servers --redis -- python -m pytest")
    # One of its own: every site's queue has the same name, and others are being tested on the shared one.
    with servers.redis() as url:
        yield {"REDIS_URL": url}


@pytest.fixture
def worker(data: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    """A worker whose queue has shown that it runs tasks. The parameter: another bound for its end, in seconds.

    It logs as JSON.
    """
    with running(data, *WORKER[:-1], getattr(request, "param", WORKER[-1]), LOG_FORMAT="json") as command:
        wait_until(lambda: beat(data), what="the first heartbeat")
        yield command


def ask(data: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / "sandbox.sqlite3", timeout=20)) as connection, connection:
        return connection.execute(sql).fetchall()


def beat(data: Path) -> object:
    rows = ask(data, "SELECT at FROM templategen_heartbeat WHERE name = 'queue'")
    return rows[0][0] if rows else None


def leave_work(data: Path) -> None:
    """A message that no queue has taken yet. What is in it does not matter: it is thrown away when opened."""
    ask(data, "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('templategen', '', '2020-01-01 00:00:00')")


def work_waits(data: Path) -> bool:
    return bool(ask(data, "SELECT 1 FROM django_q_ormq WHERE lock < '2021'"))


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def wait_for_life(worker: Running) -> Cluster:
    """Until the queue has run tasks for a while, so that its processes wait where idle ones do."""
    cluster = cluster_of(worker.process.pid)
    wait_until(lambda: beat(worker.data), what="the first heartbeat")
    first = beat(worker.data)
    wait_until(lambda: beat(worker.data) != first, what="a second heartbeat")
    return cluster


def test_each_worker_finds_its_own_frozen_queue_though_idle_and_leaves_a_healthy_neighbour_alone(
    broker: Mapping[str, str], data: Path
) -> None:
    with running(data, *WORKER, **broker) as frozen, ExitStack() as beside:
        cluster = wait_for_life(frozen)
        healthy = beside.enter_context(running(data, *WORKER, **broker))
        neighbour = cluster_of(healthy.process.pid)
        # The idle worker that holds the semaphore is among them; the sentinel replaces both, and nothing moves again.
        kill(*cluster.workers)
        frozen.wait_for("The queue shows no life: killed")
        frozen.wait_for(r"queue ended \(by signal SIGKILL\); starting it again in 1 s")
        new = cluster_of(frozen.process.pid)
        assert not cluster.all & new.all
        wait_until(lambda: not cluster.alive, what="the end of the old queue")
        # As long again as the freeze took to be found.
        time.sleep(3.5)
        assert neighbour.alive == neighbour.all
        assert new.alive == new.all
        assert "no life" not in healthy.text
        assert frozen.end() == 0
        assert healthy.end() == 0
    assert not processes_of(data)


def test_a_killed_monitor_which_leaves_results_unbooked_for_ever_is_found_too(worker: Running) -> None:
    cluster = wait_for_life(worker)
    kill(cluster.monitor)
    worker.wait_for("The queue shows no life: killed")
    assert not cluster.all & cluster_of(worker.process.pid).all


def test_a_stopped_queue_is_killed_and_what_waited_goes_on_and_sigterm_leaves_nothing(
    worker: Running, data: Path
) -> None:
    frozen = cluster_of(worker.process.pid)
    for pid in frozen.all:
        os.kill(pid, signal.SIGSTOP)
    leave_work(data)
    worker.wait_for("The queue shows no life: killed")
    wait_until(lambda: not work_waits(data), what="work going on")
    wait_until(lambda: not frozen.alive, what="the end of the old queue")
    assert worker.end() == 0
    assert not processes_of(data)


def test_a_queue_that_loses_its_sentinel_or_its_main_process_is_replaced_whole(worker: Running, data: Path) -> None:
    first = cluster_of(worker.process.pid)
    kill(first.sentinel)
    # django-q2's main process ends with 0 then, as if all were well, and leaves the rest behind.
    worker.wait_for(r"queue ended \(exit status \d+\); starting it again in 1 s")
    wait_until(lambda: not first.alive, what="the end of all of it")
    second = cluster_of(worker.process.pid)
    kill(second.main)
    worker.wait_for(r"queue ended \(by signal SIGKILL\)")
    wait_until(lambda: not second.alive, what="the end of all of it")
    leave_work(data)
    wait_until(lambda: not work_waits(data), what="work going on")


def test_a_killed_worker_command_leaves_nothing(worker: Running, data: Path) -> None:
    cluster = cluster_of(worker.process.pid)
    worker.end(signal.SIGKILL)
    wait_until(lambda: not cluster.alive and not processes_of(data), what="the end of the orphans")


@pytest.mark.parametrize("worker", ["60"], indirect=True)
def test_sigterm_to_its_process_group_as_procfile_runners_send_it_ends_it_in_order(worker: Running, data: Path) -> None:
    # Long before its bound.
    began = time.monotonic()
    os.killpg(worker.process.pid, signal.SIGTERM)
    assert worker.wait() == 0
    assert time.monotonic() - began < 40
    assert "does not stop" not in worker.text
    assert not processes_of(data)


def test_whatever_it_says_itself_has_the_form_of_the_log(worker: Running, data: Path) -> None:
    kill(cluster_of(worker.process.pid).main)
    worker.wait_for(r"queue ended \(by signal SIGKILL\)")
    assert worker.end() == 0
    assert {"templategen.management.commands.worker"} <= {json.loads(line)["logger"] for line in worker.lines}


def test_sigterm_to_every_process_at_once_ends_it_within_its_bound(worker: Running, data: Path) -> None:
    # What systemd does without KillMode=mixed: django-q2's main process may hang then.
    cluster_of(worker.process.pid)
    began = time.monotonic()
    for pid in processes_of(data):
        os.kill(pid, signal.SIGTERM)
    assert worker.wait() == 0
    # What its bound leaves alive is killed at once: the rest is what a busy machine needs.
    assert time.monotonic() - began < 5 + 15
    assert not processes_of(data)


def test_a_conductor_that_hangs_or_dies_ends_the_worker_with_status_1(data: Path) -> None:
    began = time.monotonic()
    hangs = conducting(data, "self.last_pass_at = 1.0; time.sleep(600)")
    assert (hangs.returncode, "conductor hangs" in hangs.stderr) == (1, True)
    assert time.monotonic() - began > 2
    dies = conducting(data, "raise RuntimeError('no more')")
    assert (dies.returncode, "conductor ended" in dies.stderr) == (1, True)
    assert not processes_of(data)


def conducting(data: Path, run_: str) -> subprocess.CompletedProcess[str]:
    """The worker command with another conductor."""
    program = f"""
import os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "templategen.settings"
import django; django.setup()
from templategen import conductor
class Other:
    def run(self, stop): {run_}
conductor.Conductor = Other
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "worker", "--conductor-seconds", "2"])
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env=environment(data), capture_output=True, text=True, timeout=100, check=False
    )


def test_as_the_first_process_of_a_container_it_stops_when_asked_and_collects_the_dead(data: Path) -> None:
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("may not make a PID namespace here")
    container = subprocess.Popen(
        [unshare, "--pid", "--fork", "--kill-child", sys.executable, str(ROOT / "manage.py"), *WORKER],
        env=environment(data),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        [worker] = wait_until(lambda: children(container.pid), what="the worker's start")
        cluster = cluster_of(worker)
        wait_until(lambda: beat(data), what="the first heartbeat")
        # Its orphans become the worker's own children: nobody else is there to collect them.
        kill(cluster.guard)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in cluster.all), what="no zombies")
        cluster_of(worker)
        os.kill(worker, signal.SIGTERM)
        assert container.wait(60) == 0
        assert not is_alive(worker)
    finally:
        container.kill()
        container.wait()
