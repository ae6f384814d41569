"""The sweep: what was forgotten goes on, what nobody wants goes, what people should know is said."""

import logging
from datetime import timedelta
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ

from templategen import actions, alarms, standing, sweep
from templategen.management.commands.sweep import _WORDS
from templategen.models import ActionTemplate, Clip
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture(autouse=True)
def hourly():
    cache.clear()


@pytest.fixture
def rung(monkeypatch):
    """What the queue was told."""
    told = []
    monkeypatch.setattr(actions, "ring", lambda job, **arguments: told.append((job, arguments)))
    return told


@pytest.fixture
def waiting(monkeypatch):
    """How many messages lie in the queue."""
    length = [0]
    monkeypatch.setattr(sweep, "queue_size", lambda: length[0])
    return length


# --- lost messages cost at most one sweep ---


def test_a_check_whose_message_was_lost_is_rung_for_by_the_next_sweep(product, account, rung, waiting):
    now = timezone.now()
    template = make_template(account, State.CHECKING, next_look_at=now)
    sweep.once(now=now + 5 * SECOND)
    assert rung == []
    sweep.once(now=now + 15 * SECOND)
    assert rung == [("check", {"template_pk": template.pk})]


def test_a_launch_whose_message_was_lost_is_rung_for_with_the_same_token(product, account, rung, waiting):
    now = timezone.now()
    template = make_template(account, State.SUBMITTING, claimed_at=now, claim_token="t1")
    sweep.once(now=now + 15 * SECOND)
    assert rung == [("launch", {"template_pk": template.pk, "token": "t1"})]


def test_messages_do_not_pile_up_behind_a_slow_worker(product, account, rung, waiting):
    now = timezone.now()
    make_template(account, State.CHECKING, next_look_at=now)
    waiting[0] = 3
    for seconds in range(15, 120, 15):
        sweep.once(now=now + timedelta(seconds=seconds))
    assert len(rung) == 2


def test_behind_a_long_queue_one_is_rung_for_only_after_long(product, account, rung, waiting):
    now = timezone.now()
    make_template(account, State.CHECKING, next_look_at=now, changed_at=now)
    waiting[0] = 5000
    sweep.once(now=now + 5 * MINUTE)
    assert rung == []
    sweep.once(now=now + 11 * MINUTE)
    assert len(rung) == 1


def test_a_real_message_is_in_the_queue_after_the_sweep(product, account):
    if not hasattr(OrmQ, "objects"):
        pytest.skip("another broker")
    make_template(account, State.CHECKING, next_look_at=timezone.now() - MINUTE)
    assert sweep.once(now=timezone.now())["checks_rung"] == 1


# --- leases that have run out ---


def test_a_claim_that_was_never_launched_is_given_back(product, account, settings, rung, waiting):
    now = timezone.now()
    template = make_template(account, State.SUBMITTING, claimed_at=now)
    sweep.once(now=now + timedelta(seconds=settings.LAUNCH_LEASE_SECONDS - 1))
    template.refresh_from_db()
    assert template.state == State.SUBMITTING
    sweep.once(now=now + timedelta(seconds=settings.LAUNCH_LEASE_SECONDS))
    template.refresh_from_db()
    assert (template.state, template.claim_token) == (State.QUEUED, "")


def test_a_claim_keeps_its_message_for_as_long_as_that_may_wait_behind_others(
    product, account, rung, waiting, monkeypatch
):
    monkeypatch.setattr(standing, "queue_is_redis", lambda: False)
    now = timezone.now()
    first, second = (OrmQ.objects.create(key="k", payload="p", lock=now - seconds * SECOND) for seconds in (40, -90))
    template = make_template(account, State.SUBMITTING, claimed_at=now, claim_token="t1")
    waiting[0] = 300
    for minutes in range(1, 30):
        sweep.once(now=now + minutes * MINUTE)
    template.refresh_from_db()
    assert (template.state, template.claim_token) == (State.SUBMITTING, "t1")
    assert {arguments["token"] for _job, arguments in rung} == {"t1"}
    # What waits now came later than its last message: that one was taken, or lost.
    first.delete()
    OrmQ.objects.filter(pk=second.pk).update(lock=now + 40 * MINUTE)
    sweep.once(now=now + 41 * MINUTE)
    template.refresh_from_db()
    assert template.state == State.QUEUED


def test_where_redis_tells_no_times_a_claim_is_given_back_once_nothing_waits(
    product, account, rung, waiting, monkeypatch
):
    monkeypatch.setattr(standing, "queue_is_redis", lambda: True)
    now = timezone.now()
    template = make_template(account, State.SUBMITTING, claimed_at=now)
    waiting[0] = 1
    assert sweep.once(now=now + 5 * MINUTE)["claims_given_back"] == 0
    waiting[0] = 0
    assert sweep.once(now=now + 6 * MINUTE)["claims_given_back"] == 1
    template.refresh_from_db()
    assert template.state == State.QUEUED


def test_a_call_without_an_answer_is_unconfirmed_after_its_time_outs(product, account, settings):
    now = timezone.now()
    template = make_template(account, State.SUBMITTING, sent_at=now, claimed_at=now)
    sweep.once(now=now + timedelta(seconds=2 * settings.DASHSCOPE_TIMEOUT_SECONDS))
    template.refresh_from_db()
    assert template.state == State.SUBMITTING
    sweep.once(now=now + timedelta(seconds=2 * settings.DASHSCOPE_TIMEOUT_SECONDS + settings.LAUNCH_LEASE_SECONDS))
    template.refresh_from_db()
    assert (template.state, template.call_over_at) == (State.UNCONFIRMED, None)


# --- the retention clock ---


def alarmed(now):
    return set(alarms.unread(now).values_list("pk", flat=True))


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING])
def test_a_task_that_ended_long_ago_and_was_not_read_is_an_alarm(product, account, state):
    now = timezone.now()
    template = make_template(account, state, sent_at=now - 20 * HOUR, looked_at=now, ended_at=now - 19 * HOUR)
    make_template(account, state, sent_at=now - 20 * HOUR, looked_at=now, ended_at=now - 17 * HOUR)
    assert alarmed(now) == {template.pk}


def test_a_task_that_nobody_could_look_at_for_long_is_an_alarm(product, account):
    now = timezone.now()
    unseen = make_template(account, State.RUNNING, sent_at=now - 30 * HOUR, looked_at=now - 19 * HOUR)
    never = make_template(account, State.PENDING, sent_at=now - 19 * HOUR)
    make_template(account, State.RUNNING, sent_at=now - 30 * HOUR, looked_at=now - HOUR)
    make_template(account, State.READY, sent_at=now - 30 * HOUR, looked_at=now - 29 * HOUR)
    assert alarmed(now) == {unseen.pk, never.pk}


def test_a_lost_one_is_an_alarm_as_long_as_it_may_come_back(product, account):
    now = timezone.now()
    lost = make_template(account, State.LOST, sent_at=now - 20 * HOUR)
    long_at_work = make_template(account, State.LOST, sent_at=now - 26 * HOUR, looked_at=now - HOUR)
    make_template(account, State.LOST, sent_at=now - 30 * HOUR, looked_at=now - 26 * HOUR)
    make_template(account, State.LOST, sent_at=now - HOUR, looked_at=now)
    assert alarmed(now) == {lost.pk, long_at_work.pk}


def test_the_hours_are_a_setting(product, account, settings):
    now = timezone.now()
    template = make_template(account, State.RUNNING, sent_at=now - 3 * HOUR)
    assert alarmed(now) == set()
    settings.RETENTION_ALARM_HOURS = 2
    assert alarmed(now) == {template.pk}


def test_the_alarm_is_logged_at_error_once_an_hour(product, account, caplog):
    make_template(account, State.RUNNING, sent_at=timezone.now() - 20 * HOUR)
    for _ in range(3):
        assert sweep.once(now=timezone.now())["results_unread"] == 1
    said = [record for record in caplog.records if record.msg == "results not read for long"]
    assert [(record.levelno, record.count) for record in said] == [(logging.ERROR, 1)]


# --- by hand ---


def test_by_hand_it_says_what_it_did(product, account):
    make_template(account, State.SUBMITTING, claimed_at=timezone.now() - HOUR)
    printed = StringIO()
    call_command("sweep", stdout=printed)
    assert "Templates put back into the line: 1" in printed.getvalue().splitlines()
    printed = StringIO()
    call_command("sweep", "--no-reconcile", stdout=printed)
    assert printed.getvalue().strip() == "Nothing had to be done."


def test_by_hand_there_are_words_for_each_step():
    assert set(sweep._STEPS) | {"senders_found_gone", "unanswered_looked_for"} == set(_WORDS)


def test_an_unfinished_upload_expires_with_its_parts(product, account, owner):
    template = actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=20_000_000)
    assert sweep.once(now=timezone.now() + timedelta(days=2))["uploads_expired"] == 1
    template.refresh_from_db()
    assert (template.state, Clip.objects.get(pk=template.clip_id).upload_id) == (State.CANCELED, "")
    assert not ActionTemplate.objects.kept().filter(pk=template.pk).exists()
