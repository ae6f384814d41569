"""The loop as it runs: quick for one task, held up by nothing, over when told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Account
from templategen import sweep
from templategen.clients.dashscope import DashScope
from templategen.conductor import Conductor
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.watch import Watcher
from tests.factories import make_template
from tests.running import wait_until


@contextmanager
def conducting() -> Iterator[Conductor]:
    """A conductor in its thread, as in the worker command."""
    conductor, stop = Conductor(), threading.Event()

    def run() -> None:
        conductor.run(stop)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield conductor
    finally:
        stop.set()
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture
def account(own_product) -> Account:
    return Account.objects.create(name="Studio", slug="studio")


def a_task(sandbox, account: Account, **order: object) -> ActionTemplate:
    made = sandbox.control("POST", "tasks", {"count": 1, "status": "RUNNING", **order})["task_ids"]
    return make_template(account, State.RUNNING, task_id=made[0], sent_at=timezone.now())


def ready(row: ActionTemplate) -> bool:
    row.refresh_from_db()
    return row.state == State.READY


def test_a_single_tasks_end_is_known_soon(own_sandbox, account):
    row = a_task(own_sandbox, account, run_seconds=2)
    with conducting():
        wait_until(lambda: ready(row))
    # A second between two looks at so young a task, and what a busy machine needs: looks at old ones are ten apart.
    assert row.ready_at.timestamp() - own_sandbox.tasks()[0]["ended"] < 6


def test_it_ends_when_told_though_a_look_hangs(own_sandbox, account):
    own_sandbox.fault("get", "slow", seconds=60)
    a_task(own_sandbox, account, run_seconds=60)
    with conducting():
        # The fault is used up when the call has come.
        wait_until(lambda: not own_sandbox.overview()["faults"])
        told = time.monotonic()
    assert time.monotonic() - told < 20


def test_its_passes_can_be_watched_with_the_lease_or_without(account):
    LeaseHolder("conductor").acquire()
    with conducting() as conductor:
        seen = conductor.last_pass_at
        wait_until(lambda: conductor.last_pass_at > seen)


def test_a_bug_in_the_looks_keeps_nobody_in_line(own_product, account, monkeypatch):
    def broken(_self: Watcher, _now: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Watcher, "one_pass", broken)
    waiting = make_template(account, State.QUEUED, queued_at=timezone.now())
    own_product.conductor.lease.acquire()
    own_product.conductor.one_pass()
    waiting.refresh_from_db()
    assert waiting.state == State.SUBMITTING


def test_a_list_whose_reading_broke_is_read_again_later_and_not_at_once(own_product, account, monkeypatch):
    def broken(*_args: object, **_kwargs: object) -> None:
        raise OverflowError("a bug")

    monkeypatch.setattr(DashScope, "list_tasks", broken)
    now = timezone.now()
    values = {"error_code": "unconfirmed", "claim_token": "t", "sent_at": now, "call_over_at": now}
    row = make_template(account, State.UNCONFIRMED, next_look_at=now, **values)

    def put_off() -> bool:
        own_product.conductor.one_pass()
        row.refresh_from_db()
        return row.next_look_at > now

    own_product.conductor.lease.acquire()
    wait_until(put_off)
    assert (row.error_code, row.next_look_at > timezone.now()) == ("unconfirmed", True)


def test_the_other_goes_on_where_the_first_was_stopped(own_sandbox, account):
    row = a_task(own_sandbox, account, run_seconds=1)
    with conducting():
        wait_until(lambda: own_sandbox.overview()["calls"]["gets"])
    with conducting():
        wait_until(lambda: ready(row))


def test_an_oss_that_does_not_answer_keeps_no_lost_message_from_being_rung_for(
    own_product, account, monkeypatch, settings
):
    hangs, released = threading.Event(), threading.Event()

    def hang(_now: object) -> int:
        hangs.set()
        released.wait(90)
        return 0

    settings.SWEEP_SECONDS = 0.1
    monkeypatch.setitem(sweep._STEPS, "uploads_expired", hang)
    try:
        with conducting():
            assert hangs.wait(60)
            row = make_template(account, State.CHECKING, next_look_at=timezone.now() - timedelta(minutes=1))

            def rung() -> bool:
                row.refresh_from_db()
                return row.rung_at is not None

            wait_until(rung)
    finally:
        released.set()
