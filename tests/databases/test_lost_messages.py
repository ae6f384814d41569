"""A cluster killed with messages in its hands: what they rang for is rung again by the sweep."""

import os
import signal
import sys
import time

import pytest

from tests.cluster import cluster_of
from tests.databases.site import Site, in_use, needs_servers
from tests.running import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds the queue's processes in /proc"),
    needs_servers,
]

COUNT = 6
# The sweep leaves fresh rows alone for 10 s; it comes every 2 s here; a check that was begun is claimed for 6 s.
BOUND_S = 10 + 2 + 6 + 2


def in_hand(site: Site) -> int:
    """Messages that the cluster has taken and nobody has done."""
    if in_use()[1] == "orm":
        locked = site.rows("SELECT id FROM django_q_ormq WHERE lock > CURRENT_TIMESTAMP")
        return len(locked)
    import redis

    queue = redis.Redis.from_url(site.more["REDIS_URL"])
    return COUNT - int(queue.llen("django_q:templategen:q"))


def test_a_killed_cluster_costs_one_sweep_and_nothing_else(site: Site):
    with site.worker() as worker:
        cluster = cluster_of(worker.process.pid)
        # Its workers do nothing for now, so that what the pusher takes stays in its hands.
        for pid in cluster.workers:
            os.kill(pid, signal.SIGSTOP)
        site.script("tests.databases.fill", f"{COUNT}", "1")
        lost = wait_until(lambda: in_hand(site), what="messages in the cluster's hands")
        os.killpg(cluster.guard, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: site.states() == ["ready"] * COUNT, seconds=60, what="all templates")
        assert time.monotonic() - killed_at < BOUND_S + COUNT
    assert lost
    assert len(site.sandbox.tasks()) == COUNT
