"""Fixtures that every test may use."""

from collections.abc import Iterator

import pytest

from tests.sandbox import Sandbox


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
