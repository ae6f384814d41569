"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import hypothesis
import pytest
from django.core.cache import cache
from django.utils import timezone, translation

from accounts import limits
from accounts.models import User
from templategen import estimates, standing, tally
from templategen.clients import build
from tests.people import make_person
from tests.ports import free_port as any_free_port
from tests.product import Product, empty_queue
from tests.sandbox import Sandbox

# The same examples at each run, and none is too slow for a busy machine. Tests that search say how to search further.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the whole test run; take `sandbox` instead, which starts each test afresh."""
    process = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """The running sandbox with quick settings and no faults. Objects and tasks of earlier tests are still there."""
    sandbox_process.quick()
    return sandbox_process


@pytest.fixture
def own_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox for this test alone, for tests that kill it or count everything."""
    process = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    return any_free_port()


@pytest.fixture(autouse=True)
def _empty_queue() -> None:
    """With the database as broker the queue is emptied like every table; Redis has to be told."""
    if os.environ.get("TEST_REDIS_URL"):
        empty_queue()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """What a process keeps in memory tells of the database and the settings of the test before."""
    limits.forget()
    tally.forget()
    estimates.forget()
    standing.forget()
    build.forget()
    cache.clear()


@pytest.fixture(autouse=True)
def _no_window_turns() -> Iterator[None]:
    """Limits count in windows of whole minutes: in none of them does a test begin with less than 20 seconds left."""
    late = timedelta(seconds=20 if timezone.now().second >= 40 else 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "timezone", SimpleNamespace(now=lambda: timezone.now() - late))
        yield


@pytest.fixture(autouse=True)
def _language_of_the_site() -> None:
    """A request leaves its language with the thread, where the next request chooses anew and a command would not."""
    translation.deactivate()


@pytest.fixture
def owner(db: None) -> User:
    """A member of the account "studio"."""
    return make_person("owner@example.com", "studio")


@pytest.fixture
def stranger(db: None) -> User:
    """A member of another account, "elsewhere"."""
    return make_person("stranger@example.com", "elsewhere")


def point_at(sandbox: Sandbox, settings: object) -> None:
    """Let the product's clients talk to this sandbox."""
    for name, value in {
        "SANDBOX_URL": sandbox.url,
        "DASHSCOPE_BASE_URL": sandbox.api_url,
        "OSS_ENDPOINT": sandbox.url,
        "OSS_PUBLIC_ENDPOINT": sandbox.url,
    }.items():
        setattr(settings, name, value)
    build.forget()


@pytest.fixture
def product(transactional_db: None, sandbox: Sandbox, settings: object) -> Product:
    """The product's background work, against the running sandbox."""
    point_at(sandbox, settings)
    return Product()


@pytest.fixture
def own_product(transactional_db: None, own_sandbox: Sandbox, settings: object) -> Product:
    """The same against a sandbox of its own, whose task list holds nothing of other tests."""
    point_at(own_sandbox, settings)
    return Product()
