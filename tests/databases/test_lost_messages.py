"""A cluster killed with messages in its hands: what they rang for is rung again by the sweep."""

import os
import signal
import sys

import pytest

from tests.cluster import cluster_of
from tests.databases.site import Site, in_use, needs_servers
from tests.running import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds the queue's processes in /proc"),
    needs_servers,
]

COUNT = 6
# The sweep leaves fresh rows alone for 10 s, comes every 2 s here, and rings for the same row again only after 60 s:
# what is done sooner took one sweep.
ONE_SWEEP_S, RUNG_AGAIN_S = 55, 60


def in_hand(site: Site) -> int:
    """Messages that the cluster has taken and nobody has done."""
    if in_use()[1] == "orm":
        locked = site.rows("SELECT id FROM django_q_ormq WHERE lock > CURRENT_TIMESTAMP")
        return len(locked)
    import redis

    queue = redis.Redis.from_url(site.more["REDIS_URL"])
    return COUNT - int(queue.llen("django_q:templategen:q"))


def test_a_killed_cluster_costs_one_sweep_and_nothing_else(site: Site):
    site.script("tests.databases.fill", f"{COUNT}", "1")
    # The cluster's workers wait for OSS, so that what the pusher takes stays in its hands, and nothing is launched.
    # (Stopped by a signal one might hold SQLite's lock.)
    site.sandbox.fault("oss-get", "slow", seconds=25, times=None)
    with site.worker() as worker:
        cluster = cluster_of(worker.process.pid)
        lost = wait_until(lambda: in_hand(site), what="messages in the cluster's hands")
        os.killpg(cluster.guard, signal.SIGKILL)
        site.sandbox.clear_faults()
        # On a busy machine a sweep may have come before, and what it sent is lost as well.
        is_rung = site.rows("SELECT id FROM templategen_actiontemplate WHERE rung_at IS NOT NULL")
        seconds = ONE_SWEEP_S + (RUNG_AGAIN_S if is_rung else 0)
        wait_until(lambda: site.states() == ["ready"] * COUNT, seconds=seconds, what="all templates")
    assert lost
    assert len(site.sandbox.tasks()) == COUNT
