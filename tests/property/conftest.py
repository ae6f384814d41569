"""What the tests of bad input share."""

from typing import Any

import pytest

from tests.conftest import point_at
from tests.sandbox import Sandbox


@pytest.fixture
def no_limits(settings: Any) -> None:
    """Nobody is refused for coming often: every example is to be looked at."""
    settings.LIMITS = dict.fromkeys(settings.LIMITS, "")
    settings.AXES_FAILURE_LIMIT = settings.SIGN_IN_ADDRESS_LIMIT = 10**6
    settings.SIGN_UP = "open"


@pytest.fixture
def services(db: None, sandbox: Sandbox, settings: Any) -> None:
    """OSS and DashScope answer; nothing of the queue runs."""
    point_at(sandbox, settings)
