"""`manage.py worker`, as a real process on a database of its own."""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import Running, processes_of, run, running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left-over processes in /proc")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worker")
    migrated = run(folder, "migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    return folder


@pytest.fixture
def worker(data: Path) -> Iterator[Running]:
    """A worker whose queue has shown that it runs tasks."""
    ask(data, "DELETE FROM templategen_heartbeat")
    with running(data, "worker", "--watch-seconds", "4", "--stop-seconds", "5") as command:
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


def queue_processes(data: Path) -> dict[int, str]:
    return {pid: line for pid, line in processes_of(data).items() if "qcluster" in line}


def test_a_queue_that_freezes_is_killed_and_started_anew_and_sigterm_then_leaves_nothing(
    worker: Running, data: Path
) -> None:
    frozen = queue_processes(data)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    leave_work(data)
    worker.wait_for("The queue stands still though work is waiting: killed")
    worker.wait_for(r"queue ended \(by signal SIGKILL\); starting it again in 1 s")
    wait_until(lambda: not work_waits(data), what="work going on")
    assert not frozen.keys() & queue_processes(data).keys()
    assert worker.end() == 0
    assert not processes_of(data)


def test_a_queue_that_loses_its_sentinel_is_replaced_whole_and_a_killed_worker_leaves_nothing(
    worker: Running, data: Path
) -> None:
    before = queue_processes(data)
    # guard > main > sentinel > workers: each is its parent's child.
    parents = {pid: int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in before}
    guard = next(pid for pid, line in before.items() if "guard.py" in line)
    main = next(pid for pid, parent in parents.items() if parent == guard)
    sentinel = next(pid for pid, parent in parents.items() if parent == main)
    os.kill(sentinel, signal.SIGKILL)
    worker.wait_for(r"queue ended \(exit status \d+\); starting it again in 1 s")
    leave_work(data)
    wait_until(lambda: not work_waits(data), what="work going on")
    assert not before.keys() & queue_processes(data).keys()
    worker.end(signal.SIGKILL)
    wait_until(lambda: not processes_of(data), seconds=5, what="the end of the orphans")
