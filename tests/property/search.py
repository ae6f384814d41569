"""How far the state machines of accounts and templates search."""

import os

from hypothesis import HealthCheck, settings

# The same ones at each run; others, and more of them, by hand: EXAMPLES=500.
_MOST = int(os.environ.get("EXAMPLES", "20"))
SEARCH = settings(
    max_examples=_MOST,
    stateful_step_count=30,
    derandomize="EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
