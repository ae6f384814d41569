"""A clock that was ahead for a moment: nothing waits for what it wrote, and somebody hears of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from templategen import alarms, credential_status, pipeline, standing, sweep, turns
from templategen.clients.dashscope import Task
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate, Event
from templategen.pipeline_models import CredentialStatus, Lease, Turn
from templategen.states import FOR_A_PERSON, State
from tests.factories import make_template
from tests.people import account_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AHEAD = 30 * HOUR


@pytest.fixture
def account(owner):
    return account_of(owner)


def swept(now):
    return sweep.once(now=now)["stamps_brought_back"]


def test_a_look_put_off_by_a_clock_that_was_ahead_is_due_at_once(product, account):
    now = timezone.now()
    row = make_template(account, State.RUNNING, sent_at=now - MINUTE, running_at=now - MINUTE)
    pipeline.record(row, Task(row.task_id, "RUNNING"), now=now + AHEAD)
    assert swept(now)
    row.refresh_from_db()
    assert (row.next_look_at, row.looked_at) == (now, now)
    assert swept(now) == 0


@pytest.mark.parametrize("state", [State.CHECKING, State.QUEUED, State.PENDING])
def test_no_step_waits_for_a_moment_that_is_too_far_off(product, account, state):
    now = timezone.now()
    row = make_template(account, state, next_look_at=now + AHEAD, rung_at=now + AHEAD)
    legal = make_template(account, state, next_look_at=now + MINUTE)
    assert swept(now)
    row.refresh_from_db()
    legal.refresh_from_db()
    assert (row.next_look_at, legal.next_look_at) == (now, now + MINUTE)
    assert row.rung_at <= now


def test_a_lost_one_that_a_clock_ahead_gave_up_is_looked_at_again(product, account):
    now = timezone.now()
    row = make_template(account, State.LOST, sent_at=now - 2 * HOUR, looked_at=now - HOUR)
    pipeline.record(row, Task(row.task_id, "UNKNOWN"), now=now + AHEAD)
    gone = make_template(
        account, State.LOST, sent_at=now - 40 * HOUR, looked_at=now - AHEAD, next_look_at=now + timedelta(days=3650)
    )
    swept(now)
    row.refresh_from_db()
    gone.refresh_from_db()
    assert row.next_look_at == now
    assert gone.next_look_at > now + timedelta(days=1000)


def test_what_was_found_for_a_person_is_looked_at_again(product, account):
    now = timezone.now()
    row = make_template(account, State.UNCONFIRMED, error_code=FOR_A_PERSON, next_look_at=now + AHEAD)
    swept(now)
    row.refresh_from_db()
    assert row.next_look_at == now


def test_a_claim_in_the_future_is_given_back_after_its_lease(product, account, settings):
    now = timezone.now()
    row = make_template(account, State.SUBMITTING, claimed_at=now + AHEAD)
    swept(now)
    swept(now + timedelta(seconds=settings.LAUNCH_LEASE_SECONDS + 1))
    row.refresh_from_db()
    assert row.state == State.QUEUED


def test_a_call_sent_in_the_future_is_looked_for_once_its_claim_is_old(product, account):
    now = timezone.now()
    row = make_template(account, State.SUBMITTING, claimed_at=now, sent_at=now + 8 * HOUR)
    sweep.once(now=now + MINUTE)
    row.refresh_from_db()
    assert row.state == State.SUBMITTING
    sweep.once(now=now + 5 * MINUTE)
    row.refresh_from_db()
    assert (row.state, row.sent_at) == (State.UNCONFIRMED, now + 8 * HOUR)


def test_an_open_task_that_was_sent_in_the_future_is_an_alarm(product, account):
    now = timezone.now()
    row = make_template(account, State.RUNNING, sent_at=now + 8 * HOUR)
    make_template(account, State.RUNNING, sent_at=now)
    assert list(alarms.unread(now)) == [row]


def test_stamps_in_the_future_are_logged_at_error(product, account, caplog):
    now = timezone.now()
    make_template(account, State.RUNNING, sent_at=now, next_look_at=now + AHEAD)
    swept(now)
    swept(now)
    said = [record for record in caplog.records if record.msg.startswith("stamps in the future")]
    assert [(record.levelname, record.count, record.looks) for record in said] == [("ERROR", 1, 1)]


def test_an_unknown_task_is_lost_in_time_although_a_clock_was_ahead(product, account, settings):
    now = timezone.now()
    row = make_template(account, State.RUNNING, sent_at=now, unknown_since=now + AHEAD)
    swept(now)
    row.refresh_from_db()
    later = now + timedelta(seconds=settings.UNKNOWN_SECONDS + 1)
    pipeline.record(row, Task(row.task_id, "UNKNOWN"), now=later)
    assert row.state == State.LOST


def test_a_credential_and_turns_do_not_wait_for_it_either(product, account):
    now = timezone.now()
    credential_status.pause(None, code="Arrearage", message="")
    CredentialStatus.objects.update(
        paused_at=now + AHEAD, probe_at=now + AHEAD, held_at=now + AHEAD, looks_held_until=now + AHEAD
    )
    turns.serve(account.pk, now=now + AHEAD)
    swept(now)
    status = credential_status.status_of(None)
    assert (status.paused_at, status.probe_at, status.held_at, status.looks_held_until) == (now, now, now, None)
    assert Turn.objects.get().at == now


@pytest.mark.django_db
def test_a_lease_that_a_clock_ahead_has_taken_is_free_once_its_holder_is_gone():
    now = timezone.now()
    gone, second = LeaseHolder("x"), LeaseHolder("x")
    assert gone.acquire(now=now + AHEAD)
    assert second.acquire(now=now)
    assert Lease.objects.get().until < now + MINUTE


def test_settled_rows_are_left_as_they_are(product, account):
    now = timezone.now()
    row = make_template(account, State.READY, sent_at=now, looked_at=now + AHEAD, next_look_at=now + AHEAD)
    assert swept(now) == 0
    row.refresh_from_db()
    assert row.looked_at == now + AHEAD
    assert not ActionTemplate.objects.exclude(version=1).exists()
    assert not Event.objects.filter(kind=Event.Kind.MOVED).exists()
    assert standing.alarm_count(now=now) == 0
