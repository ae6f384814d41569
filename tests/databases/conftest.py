"""A site for each test, on whatever servers the run has."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.site import QUICK, Site, address, empty_redis, in_postgres, in_use
from tests.running import run
from tests.sandbox import Sandbox


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A data folder and, at PostgreSQL, the name of a database: migrated once, then copied for each test."""
    folder, name = tmp_path_factory.mktemp("migrated"), ""
    servers = {}
    if in_use()[0] == "postgresql":
        name = f"migrated_{secrets.token_hex(4)}"
        in_postgres(f'CREATE DATABASE "{name}"')
        servers = {"DATABASE_URL": address(name)}
    done = run(folder, "migrate", "--verbosity", "0", **servers)
    assert done.returncode == 0, done.stderr
    yield folder, name
    if name:
        in_postgres(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def site(tmp_path: Path, own_sandbox: Sandbox, migrated: tuple[Path, str]) -> Iterator[Site]:
    """Migrated and empty, with a sandbox of its own."""
    folder, template = migrated
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    more = {**QUICK, "TEMPLATEGEN_SANDBOX_URL": own_sandbox.url}
    database, broker = in_use()
    name = f"site_{secrets.token_hex(4)}"
    if database == "postgresql":
        in_postgres(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        more["DATABASE_URL"] = address(name)
    if broker == "redis":
        more["REDIS_URL"] = empty_redis()
    yield Site(data, own_sandbox, more)
    if database == "postgresql":
        in_postgres(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
