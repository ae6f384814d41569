"""When a task is looked at again. Time is given, none passes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from templategen import estimates, pipeline
from templategen.clients.dashscope import Task
from templategen.models import ActionTemplate
from templategen.pipeline import looks
from templategen.states import State
from tests.factories import make_template

NOW = timezone.now()


@pytest.fixture
def account(db):
    return Account.objects.create(name="Studio", slug="studio")


def made_in(account: Account, seconds: float) -> None:
    """This site's templates take so long."""
    for _ in range(3):
        began = NOW - timedelta(hours=1)
        end = began + timedelta(seconds=seconds)
        make_template(account, State.READY, sent_at=began, running_at=began, ended_at=end, ready_at=end)
    estimates.forget()


def running(age: float) -> ActionTemplate:
    return ActionTemplate(state=State.RUNNING, sent_at=NOW - timedelta(seconds=age))


def wait(template: ActionTemplate, word: str = "RUNNING", **values) -> float:
    return looks.wait(template, word, now=NOW, **values).total_seconds()


def test_without_a_past_the_age_alone_counts(account):
    assert wait(running(0)) == 1
    assert wait(running(16)) == 2
    assert 8 <= wait(running(3600)) <= 10


def test_a_task_in_line_is_looked_at_more_seldom(account):
    template = ActionTemplate(state=State.PENDING, sent_at=NOW - timedelta(hours=1))
    assert 25 <= wait(template, "PENDING") <= 30


def test_the_expected_end_is_met(account):
    made_in(account, 3)
    assert wait(running(2.5)) == pytest.approx(0.55)
    assert wait(running(3.2)) == 0.25


def test_long_ones_are_looked_at_around_their_end_but_not_without_pause(account):
    made_in(account, 240)
    assert 8 <= wait(running(120)) <= 10
    assert wait(running(239)) == pytest.approx(1.05)
    assert 6 <= wait(running(241)) <= 7.5
    assert 8 <= wait(running(2000)) <= 10


def test_many_open_tasks_leave_less_for_each(account):
    assert 85 <= wait(running(100), least=timedelta(seconds=100)) <= 100


def test_no_look_by_itself_is_further_off_than_a_minute(account):
    made_in(account, 100_000)
    assert wait(running(80_000)) <= 60


def test_lost_only_after_the_odd_word_was_given_for_long(account, settings):
    settings.UNKNOWN_SECONDS = 600
    template = make_template(account, State.RUNNING, sent_at=NOW)
    unknown = Task(template.task_id, "UNKNOWN")
    for minutes, state in [(0, State.RUNNING), (5, State.RUNNING), (9.9, State.RUNNING), (10.1, State.LOST)]:
        pipeline.record(template, unknown, now=NOW + timedelta(minutes=minutes))
        template.refresh_from_db()
        assert template.state == state
    assert template.next_look_at == NOW + timedelta(minutes=25.1)
    # Known again in between: the time begins anew.
    other = make_template(account, State.RUNNING, sent_at=NOW)
    for minutes, word in [(0, "UNKNOWN"), (5, "RUNNING"), (9, "UNKNOWN"), (18, "UNKNOWN")]:
        pipeline.record(other, Task(other.task_id, word), now=NOW + timedelta(minutes=minutes))
        other.refresh_from_db()
    assert other.state == State.RUNNING


def test_a_lost_one_is_looked_at_as_long_as_results_are_kept(account):
    template = make_template(account, State.LOST, sent_at=NOW)
    unknown = Task(template.task_id, "UNKNOWN")
    pipeline.record(template, unknown, now=NOW + timedelta(hours=24))
    template.refresh_from_db()
    assert template.next_look_at == NOW + timedelta(hours=24, minutes=15)
    pipeline.record(template, unknown, now=NOW + timedelta(hours=26))
    template.refresh_from_db()
    assert template.next_look_at > NOW + timedelta(days=1000)


def test_a_lost_one_is_looked_at_for_that_long_from_when_it_was_last_known(account):
    template = make_template(account, State.LOST, sent_at=NOW - timedelta(hours=26), looked_at=NOW)
    unknown = Task(template.task_id, "UNKNOWN")
    pipeline.record(template, unknown, now=NOW + timedelta(hours=24))
    template.refresh_from_db()
    assert template.next_look_at == NOW + timedelta(hours=24, minutes=15)
    pipeline.record(template, unknown, now=NOW + timedelta(hours=26))
    template.refresh_from_db()
    assert template.next_look_at > NOW + timedelta(days=1000)
