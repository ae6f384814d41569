"""PostgreSQL or Redis goes away under a working site, and comes back: nothing is lost, and nothing made twice."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.databases.site import Site, in_postgres, in_use, needs_servers
from tests.running import Running, wait_until
from tests.servers import GUARD

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="as the others here"), needs_servers]

COUNT = 6


def finished(site: Site, worker: Running) -> None:
    wait_until(lambda: site.states() == ["ready"] * COUNT, seconds=90, what="all templates")
    assert worker.process.poll() is None
    assert len(site.sandbox.tasks()) == COUNT


@pytest.mark.skipif(in_use()[0] != "postgresql", reason="needs PostgreSQL")
def test_a_database_that_restarts_again_and_again_under_the_worker(site: Site):
    name = urlsplit(site.more["DATABASE_URL"]).path[1:]

    def away(seconds: float) -> None:
        in_postgres(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        in_postgres(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        time.sleep(seconds)
        in_postgres(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    with site.worker() as worker:
        site.script("tests.databases.fill", f"{COUNT}", "1")
        for seconds in (0.0, 0.1, 0.5, 2.0, 6.0):
            away(seconds)
            time.sleep(1.0)
        finished(site, worker)


@contextmanager
def redis_of_its_own(folder: Path) -> Iterator[tuple[str, Callable[[float], None]]]:
    """Its address; and a call by which it is killed, with all that it holds, and stays away for so many seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [shutil.which("redis-server") or "", "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]

    def start() -> None:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        running.append(process)
        wait_until(answers, what="Redis")

    def answers() -> bool:
        with socket.socket() as knock:
            return knock.connect_ex(("127.0.0.1", port)) == 0

    def stop() -> None:
        process = running.pop()
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdin.close()

    def away(seconds: float) -> None:
        stop()
        time.sleep(seconds)
        start()

    running: list[subprocess.Popen[bytes]] = []
    start()
    try:
        yield f"redis://127.0.0.1:{port}/0", away
    finally:
        stop()


@pytest.mark.skipif(in_use()[1] != "redis", reason="needs Redis")
def test_a_redis_that_is_away_and_comes_back_empty(site: Site, tmp_path: Path):
    with redis_of_its_own(tmp_path) as (url, away):
        site.more["REDIS_URL"] = url
        with site.worker() as worker:
            site.script("tests.databases.fill", f"{COUNT}", "1")
            for seconds in (0.0, 3.0, 15.0):
                away(seconds)
                time.sleep(1.0)
            finished(site, worker)
