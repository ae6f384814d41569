"""Several processes on one database and one queue: everything is done, and nothing twice."""

import json
from contextlib import ExitStack

import pytest
from django.db import connection
from django_q.brokers import get_broker

from tests.databases.site import Site, in_use, needs_servers
from tests.running import wait_until

ONCE = 'SELECT start, "to", count(*) AS times FROM templategen_event WHERE kind = \'moved\' GROUP BY start, "to"'


@pytest.mark.django_db
def test_the_run_is_on_the_servers_that_it_was_given(site: Site):
    assert (connection.vendor, get_broker().info().split()[0].lower()) == in_use()
    asked = "from django.db import connection; from django_q.brokers import get_broker as broker"
    told = site.must("shell", "-v0", "-c", f"{asked}; print(connection.vendor, broker().info())")
    assert told.lower().split()[:2] == list(in_use())


@needs_servers
def test_two_workers_share_checks_and_launches_and_do_each_once(site: Site):
    count = 8
    # The product's own patience: on a busy machine a claim of seconds runs out in the midst of its work, and is then
    # rightly done again. What is done twice here is done twice for no reason.
    site.more.update(CHECK_LEASE_SECONDS="90", LAUNCH_LEASE_SECONDS="60", LEASE_SECONDS="20")
    # Every message three times: the second and third find that it is done, or being done.
    site.script("tests.databases.fill", str(count), "3")
    with site.worker(), site.worker():
        wait_until(lambda: site.states() == ["ready"] * count, seconds=120, what="all templates")
    tasks = site.sandbox.tasks()
    assert len(tasks) == len({task["video_url"].split("?")[0] for task in tasks}) == count
    moves = {(row["start"], row["to"]): row["times"] for row in site.rows(ONCE)}
    for step in (("checking", "queued"), ("queued", "submitting"), ("submitting", "pending")):
        assert moves[step] == count, (step, moves)
    assert {task["template_id"] for task in tasks} == {
        row["template_id"] for row in site.rows("SELECT template_id FROM templategen_actiontemplate")
    }
    posters = "SELECT count(DISTINCT poster_key) AS kinds FROM templategen_clip WHERE poster_key <> ''"
    assert site.rows(posters) == [{"kinds": count}]
    # The queue leaves nothing behind in its tables.
    assert site.rows("SELECT id FROM django_q_task WHERE success") == []
    assert site.rows("SELECT id FROM django_q_ormq") == []


@needs_servers
def test_of_several_processes_one_at_a_time_holds_the_lease(site: Site):
    make_one = "from templategen.pipeline_models import Tally; Tally.objects.create(name='contended')"
    site.must("shell", "-v0", "-c", make_one)
    with ExitStack() as stack:
        started = [stack.enter_context(site.started("tests.databases.contend", "3")) for _ in range(4)]
        told = []
        for process in started:
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0
            told.append(json.loads(out))
    counted = sum(each["counted"] for each in told)
    assert site.rows("SELECT count FROM templategen_tally WHERE name = 'contended'") == [{"count": counted}]
    # Not one alone: it did change hands, and the epoch tells each change.
    assert sum(each["counted"] > 0 for each in told) > 1
    epoch = site.rows("SELECT epoch FROM templategen_lease WHERE name = 'contended'")[0]["epoch"]
    assert epoch == sum(each["taken"] for each in told)
