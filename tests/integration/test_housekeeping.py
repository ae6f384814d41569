"""Tables that nobody looks at stay small, and a template's history goes with it."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from django_q.models import OrmQ, Task

from accounts.door_models import BrowserSession
from templategen import housekeeping, sweep
from templategen.models import ActionTemplate, Clip, Event
from templategen.pipeline_models import Lease
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of

pytestmark = pytest.mark.django_db


def failure(days: float) -> Task:
    then = timezone.now() - timedelta(days=days)
    return Task.objects.create(
        id=f"{days}", name=f"{days}", func="templategen.jobs.check", started=then, stopped=then, success=False
    )


def test_old_failures_are_pruned_and_fresh_ones_kept():
    failure(8)
    fresh = failure(6)
    assert housekeeping.prune_queue(timezone.now()) == 1
    assert list(Task.objects.all()) == [fresh]


def test_messages_that_nobody_takes_are_pruned_and_waiting_ones_kept():
    now = timezone.now()
    for hours in (-1, 1, 47, 49):
        OrmQ.objects.create(key="templategen", payload="", lock=now - timedelta(hours=hours))
    assert housekeeping.prune_queue(now) == 1
    assert OrmQ.objects.count() == 3


def test_expired_sessions_go_and_the_admins_log_stays(owner):
    now = timezone.now()
    BrowserSession.objects.create(session_key="old", session_data="", expire_date=now - timedelta(seconds=1))
    BrowserSession.objects.create(session_key="new", session_data="", expire_date=now + timedelta(days=1))
    kind = ContentType.objects.get_for_model(Clip)
    LogEntry.objects.create(
        user=owner, content_type=kind, action_flag=ADDITION, action_time=now - timedelta(days=999), change_message=""
    )
    housekeeping.daily(now)
    assert [session.session_key for session in BrowserSession.objects.all()] == ["new"]
    assert LogEntry.objects.count() == 1


def test_it_is_done_once_a_day_however_often_it_is_asked_for():
    for expected in (1, 0):
        Task.objects.all().delete()
        failure(8)
        assert housekeeping.daily(timezone.now()) == expected
    Lease.objects.filter(name="housekeeping").update(until=timezone.now())
    assert housekeeping.daily(timezone.now()) == 1


def test_the_history_of_a_template_goes_with_it(owner, sandbox, settings):
    old = make_template(account_of(owner), State.READY, deleted_at=timezone.now() - timedelta(days=31))
    kept = make_template(account_of(owner), State.READY)
    sweep.once(now=timezone.now())
    assert list(ActionTemplate.objects.all()) == [kept]
    assert set(Event.objects.values_list("template", flat=True)) == {kept.pk}
    assert old.pk != kept.pk
