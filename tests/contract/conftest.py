"""The `service` fixture: every contract test runs against the sandbox and, with `-m live`, against the real thing."""

import gc
from collections.abc import Iterator

import pytest

from tests.contract.service import Service, live_service, sandbox_service


@pytest.fixture(params=["sandbox", pytest.param("live", marks=[pytest.mark.live, pytest.mark.enable_socket])])
def service(request: pytest.FixtureRequest) -> Service:
    """The service under contract."""
    if request.param == "live":
        return live_service()
    return sandbox_service(request.getfixturevalue("sandbox"))


@pytest.fixture(autouse=True, scope="module")
def no_socket_outlives_its_module() -> Iterator[None]:
    """The SDKs leave their connections to the garbage collector; let it run where that is no warning."""
    yield
    gc.collect()
