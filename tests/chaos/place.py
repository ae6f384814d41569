"""Where a run happens: a data folder, a database and a broker of its own, copied from one that was prepared once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.chaos.rows import Database, sqlite_url
from tests.running import ROOT

# Seconds where the product counts in minutes, so that a dead claim is found while the test looks on. One relation is
# kept: absence from the task list is believed later (SETTLE) than any answer can come (TIMEOUT) or be made up for.
QUICK = {
    "DASHSCOPE_TIMEOUT_SECONDS": "2",
    "DASHSCOPE_QUERIES_PER_SECOND": "0",
    "CHECK_LEASE_SECONDS": "6",
    "LAUNCH_LEASE_SECONDS": "2",
    "LEASE_SECONDS": "2",
    "SWEEP_SECONDS": "1",
    "RECONCILE_SKEW_SECONDS": "2",
    "RECONCILE_SETTLE_SECONDS": "4",
    "UNKNOWN_SECONDS": "5",
    "PAUSE_PROBE_SECONDS": "2",
    "DASHSCOPE_SLOTS": "1",
}
PEOPLE = 4


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    slug: str
    session: str


@dataclass(frozen=True)
class Prepared:
    """A migrated database with people, to be copied. ``postgres`` and ``redis``: addresses of servers, or empty."""

    folder: Path
    postgres: str
    redis: str
    cookie: str
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Place:
    """One run's own. ``environment`` is that of every process of the site."""

    folder: Path
    database: Database
    environment: dict[str, str]
    prepared: Prepared

    @property
    def data(self) -> Path:
        """The data folder, which also tells this run's processes from others (TEMPLATEGEN_DATA)."""
        return self.folder / "data"

    @property
    def orders(self) -> Path:
        """CHAOS_DIR of points.py."""
        return self.folder / "orders"

    def cookie(self, person: Person) -> str:
        """The Cookie header of that person's browser."""
        return f"{self.prepared.cookie}={person.session}"


@contextmanager
def prepared(folder: Path, *, database: str, broker: str) -> Iterator[Prepared]:
    """``database``: sqlite or postgres; ``broker``: orm or redis. Their servers run while the block does."""
    from tests import servers

    with ExitStack() as running:
        postgres = running.enter_context(servers.postgres()) if database == "postgres" else ""
        redis = running.enter_context(servers.redis()) if broker == "redis" else ""
        if postgres:
            _create(postgres, "prepared", template="template0")
        base = folder / "prepared"
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos.prepare", str(PEOPLE)],
            cwd=ROOT, env=_environment(base, _named(postgres, "prepared"), "", {}), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the site's data could not be prepared:\n{done.stderr}")
        made = json.loads(done.stdout)
        people = tuple(Person(person["slug"], person["session"]) for person in made["people"])
        yield Prepared(base, postgres, redis, made["cookie"], people)


def place(
    base: Prepared, folder: Path, number: int, *, site_url: str, sandbox_url: str, waits: Mapping[str, str] = QUICK
) -> Place:
    """A copy in ``folder``; ``number`` names the database and, at Redis, the keys."""
    data, orders = folder / "data", folder / "orders"
    orders.mkdir(parents=True, exist_ok=True)
    if base.postgres:
        data.mkdir()
        _create(base.postgres, f"run_{number}", template="prepared")
        url = _named(base.postgres, f"run_{number}")
        shutil.copy(base.folder / "secret_key", data)
    else:
        shutil.copytree(base.folder, data)
        url = sqlite_url(data / "sandbox.sqlite3")
    redis = f"{base.redis.rsplit('/', 1)[0]}/{number % 16}" if base.redis else ""
    more = {
        **waits,
        "CHAOS_DIR": str(orders),
        "TEMPLATEGEN_SITE_URL": site_url,
        "TEMPLATEGEN_SANDBOX_URL": sandbox_url,
    }
    environment = _environment(data, url if base.postgres else "", redis, more)
    return Place(folder, Database(url), environment, base)


def _environment(data: Path, database: str, redis: str, more: dict[str, str]) -> dict[str, str]:
    unwanted = ("DJANGO_", "DASHSCOPE_", "OSS_", "TEMPLATEGEN_", "DATABASE_URL", "REDIS_URL", "CHAOS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    servers = {name: url for name, url in (("DATABASE_URL", database), ("REDIS_URL", redis)) if url}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "TEMPLATEGEN_DATA": str(data),
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        **servers,
        **more,
    }


def _named(postgres: str, name: str) -> str:
    return urlsplit(postgres)._replace(path=f"/{name}").geturl() if postgres else ""


def _create(postgres: str, name: str, *, template: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
