"""A site as real processes on the database and the broker that the test run was given (tests/servers.py)."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.running import ROOT, Running, environment, run, running
from tests.sandbox import Sandbox

# Seconds where the product counts in minutes: what is lost is found while the test looks on.
QUICK = {
    # Long enough for a busy machine: an answer that is given up is then looked for, and the line waits.
    "DASHSCOPE_TIMEOUT_SECONDS": "10",
    "RECONCILE_SETTLE_SECONDS": "10",
    "DASHSCOPE_QUERIES_PER_SECOND": "0",
    "CHECK_LEASE_SECONDS": "6",
    "LAUNCH_LEASE_SECONDS": "3",
    "LEASE_SECONDS": "3",
    "SWEEP_SECONDS": "2",
    "DASHSCOPE_SLOTS": "4",
}


def in_use() -> tuple[str, str]:
    """Database and broker of this run, as ``("postgresql", "redis")``."""
    return (
        "postgresql" if os.environ.get("TEST_DATABASE_URL") else "sqlite",
        "redis" if os.environ.get("TEST_REDIS_URL") else "orm",
    )


# With SQLite alone the rest of the suite and tests/chaos do much the same; what only these can tell needs servers.
needs_servers = pytest.mark.skipif(
    in_use() == ("sqlite", "orm"),
    reason="needs a server: python -m tests.servers --postgres --redis -- python -m pytest tests/databases",
)


@dataclass
class Site:
    """Data folder, database, queue and sandbox of one test. ``more``: the processes' environment beside the plain."""

    data: Path
    sandbox: Sandbox
    more: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A management command to its end."""
        return run(self.data, *arguments, **{**self.more, **more})

    def must(self, *arguments: str, **more: str) -> str:
        """The same where it has to end well; what it printed."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def worker(self, *arguments: str) -> AbstractContextManager[Running]:
        """A worker command that runs while the block does."""
        return running(self.data, "worker", "--stop-seconds", "5", *arguments, **self.more)

    def script(self, module: str, *arguments: str) -> Any:
        """A module of tests that sets Django up by itself and prints JSON."""
        with self.started(module, *arguments) as process:
            out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        return json.loads(out)

    @contextmanager
    def started(self, module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The same while it runs."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment(self.data, **{"DJANGO_SETTINGS_MODULE": "templategen.settings", **self.more}),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the query gives, asked from outside: a dict a row."""
        if url := self.more.get("DATABASE_URL"):
            import psycopg
            from psycopg.rows import dict_row

            with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
                return connection.execute(sql.encode()).fetchall()
        with closing(sqlite3.connect(self.data / "sandbox.sqlite3", timeout=20)) as lite:
            lite.row_factory = sqlite3.Row
            return [dict(row) for row in lite.execute(sql)]

    def states(self) -> list[str]:
        """The state of each template."""
        return [row["state"] for row in self.rows("SELECT state FROM templategen_actiontemplate ORDER BY id")]

    def drop(self) -> None:
        """The database is gone, with everything in it."""
        if url := self.more.get("DATABASE_URL"):
            in_postgres(f'DROP DATABASE "{urlsplit(url).path[1:]}" WITH (FORCE)')
            in_postgres(f'CREATE DATABASE "{urlsplit(url).path[1:]}"')
        else:
            for file in self.data.glob("sandbox.sqlite3*"):
                file.unlink()


def in_postgres(sql: str) -> None:
    """One statement in the server's first database."""
    import psycopg

    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(sql.encode())


def address(name: str) -> str:
    """The address of the server's database ``name``."""
    return urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path=f"/{name}").geturl()


def empty_redis() -> str:
    """The address of an emptied database at the Redis server."""
    import redis

    # Away from the numbers that tests/settings.py gives to the test processes themselves.
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = urlsplit(os.environ["TEST_REDIS_URL"])._replace(path=f"/{number}").geturl()
    redis.Redis.from_url(url).flushdb()
    return url
