"""Four processes with thirteen threads each want the last of an account's quota: never over, never lost."""

import json
import time
from contextlib import ExitStack

from tests.databases.site import Site

LIMIT, PROCESSES, THREADS, TRIES = 100, 4, 13, 4
SETUP = (
    "from accounts.models import Account, Quota; a = Account.objects.create(name='Race', slug='race'); "
    f"Quota.objects.create(account=a, templates_per_month={LIMIT})"
)


def raced(site: Site, *more: str) -> list[dict]:
    command = ["race", "--threads", str(THREADS), "--tries", str(TRIES), "--at", str(time.time() + 4), *more]
    with ExitStack() as running:
        started = [site.started("tests.databases.race", *command) for _ in range(PROCESSES)]
        processes = [running.enter_context(one) for one in started]
        outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return [json.loads(output) for output in outputs]


def counters(site: Site) -> dict:
    [row] = site.rows("SELECT templates_held, templates_used FROM accounts_usagemonth")
    return row


def test_of_processes_and_threads_at_once_exactly_as_many_win_as_there_is_room_for(site: Site) -> None:
    site.must("shell", "-c", SETUP)
    told = raced(site)
    assert sum(one["won"] for one in told) == LIMIT
    assert sum(one["refused"] for one in told) == PROCESSES * THREADS * TRIES - LIMIT
    assert counters(site) == {"templates_held": LIMIT, "templates_used": 0}
    site.must("rebuild_usage", "--check")


def test_while_others_end_theirs_nothing_is_lost_and_nothing_sold_twice(site: Site) -> None:
    site.must("shell", "-c", SETUP)
    told = raced(site, "--end")
    won, settled, released = (sum(one[what] for one in told) for what in ("won", "settled", "released"))
    assert counters(site) == {"templates_held": won - settled - released, "templates_used": settled}
    # Everybody tried again after the last release: all room is taken.
    assert won - released == LIMIT
    site.must("rebuild_usage", "--check")
