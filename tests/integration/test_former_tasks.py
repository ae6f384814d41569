"""Tasks that a row has given up: paid for, so that what they make is kept and shown."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts import ledger
from accounts.ledger import month_of
from accounts.models import LedgerEntry, Quota
from accounts.usage import by_member, rebuild, usage_of
from templategen import actions, pipeline
from templategen.admin.templates import find_by_id
from templategen.clients.dashscope import Task
from templategen.models import ActionTemplate, FormerTask
from templategen.pipeline.former import record_former
from templategen.states import State
from tests.factories import make_template
from tests.integration.test_watch import watch  # noqa: F401 -- a fixture
from tests.people import account_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def account(owner):
    return account_of(owner)


def retried(account, **values) -> tuple[ActionTemplate, FormerTask]:
    """A lost one that was tried again, and what is left of its first attempt."""
    now = timezone.now()
    row = make_template(account, State.LOST, **{"sent_at": now - HOUR, "looked_at": now - HOUR / 2, **values})
    actions.retry(row, by=None)
    return row, FormerTask.objects.get()


def test_a_lost_task_is_kept_when_its_template_is_tried_again(account):
    row = make_template(account, State.LOST, sent_at=timezone.now() - HOUR, looked_at=timezone.now() - HOUR / 2)
    old, last_known = row.task_id, row.looked_at
    actions.retry(row, by=None)
    former = FormerTask.objects.get()
    assert (former.origin, former.task_id, former.attempt, row.task_id) == (row, old, 1, "")
    assert former.until == last_known + timedelta(hours=25)
    assert list(FormerTask.objects.due(now=timezone.now())) == [former]


def test_it_is_kept_in_the_same_transaction_or_not_at_all(account):
    row = make_template(account, State.LOST, sent_at=timezone.now())
    stale = ActionTemplate.objects.get(pk=row.pk)
    actions.retry(row, by=None)
    FormerTask.objects.all().delete()
    with pytest.raises(actions.NotPossibleError):
        actions.retry(stale, by=None)
    assert not FormerTask.objects.exists()


def test_a_task_that_the_service_has_ended_needs_no_further_look(account):
    actions.retry(make_template(account, State.FAILED, task_id="ended", sent_at=timezone.now()), by=None)
    assert not FormerTask.objects.exists()


def test_a_late_answer_names_a_task_that_is_looked_at(account):
    row = make_template(account, State.QUEUED)
    pipeline.note_task(row, "late", request_id="r")
    former = FormerTask.objects.get()
    assert (former.task_id, former.origin) == ("late", row)
    assert former.until > timezone.now() + timedelta(hours=24)
    # Stored again by a try whose commit was not heard of.
    pipeline.note_task(row, "late", request_id="r")
    assert FormerTask.objects.count() == 1


def test_the_watcher_looks_at_it_and_keeps_its_template_id(watch):  # noqa: F811
    row = watch.open(1, run_seconds=0)[0]
    watch.sandbox.wait_for(row.task_id)
    former = FormerTask.objects.keep(row, row.task_id, attempt=1, known_at=timezone.now(), now=timezone.now())
    ActionTemplate.objects.update(state=State.CANCELED, task_id="")
    watch.look(passes=1)
    former.refresh_from_db()
    assert former.template_id == watch.sandbox.tasks()[0]["template_id"]
    assert former.ended_at is not None
    asked = watch.calls()["gets"]
    watch.clock.now += 1000
    watch.look(passes=2)
    assert watch.calls()["gets"] == asked == 1


def test_one_that_cannot_be_recorded_is_asked_for_later_and_keeps_nobody(watch, monkeypatch):  # noqa: F811
    rows = watch.open(3, run_seconds=0)
    now = timezone.now()
    for row in rows:
        watch.sandbox.wait_for(row.task_id)
    odd, former = (
        FormerTask.objects.keep(row, row.task_id, attempt=1, known_at=now, now=now + number * MINUTE / 1e6)
        for number, row in enumerate(rows[:2])
    )
    ActionTemplate.objects.filter(pk__in=[row.pk for row in rows[:2]]).update(state=State.CANCELED, task_id="")
    book = ledger.settle

    def settle(account_id, reference, **values):
        if str(rows[0].public_id) in reference:
            raise ValueError("a bug")
        book(account_id, reference, **values)

    monkeypatch.setattr(ledger, "settle", settle)
    watch.look()
    former.refresh_from_db()
    odd.refresh_from_db()
    rows[2].refresh_from_db()
    assert (rows[2].state, bool(former.template_id)) == (State.READY, True)
    assert (odd.ended_at, odd.next_look_at > now + 10 * MINUTE) == (None, True)


def test_it_is_looked_at_each_quarter_of_an_hour_until_nothing_can_come_of_it(account):
    _row, former = retried(account)
    now = timezone.now()
    record_former(former, Task(former.task_id, "UNKNOWN"), now=now)
    assert not FormerTask.objects.due(now=now + 14 * MINUTE).exists()
    assert FormerTask.objects.due(now=now + 16 * MINUTE).exists()
    assert not FormerTask.objects.due(now=now + 26 * HOUR).exists()
    # Seen at work: then its result comes later than was thought.
    record_former(former, Task(former.task_id, "RUNNING"), now=now + 20 * HOUR)
    assert FormerTask.objects.due(now=now + 44 * HOUR).exists()
    record_former(former, Task(former.task_id, "FAILED"), now=now + 21 * HOUR)
    assert not FormerTask.objects.due(now=now + 44 * HOUR).exists()


def test_a_look_put_off_by_a_clock_that_was_ahead_is_due(account):
    _row, former = retried(account)
    record_former(former, Task(former.task_id, "UNKNOWN"), now=timezone.now() + 30 * HOUR)
    assert FormerTask.objects.due(now=timezone.now()).exists()


def test_an_id_of_an_earlier_attempt_stands_on_the_page_to_be_copied(account, owner, client):
    row, former = retried(account)
    row.refresh_from_db()
    before = row.version
    record_former(former, Task(former.task_id, "SUCCEEDED", template_id="AACT.first"), now=timezone.now())
    client.force_login(owner)
    html = client.get(f"/a/studio/templates/{row.public_id}/").content.decode()
    assert "An earlier attempt (number 1) made this ID:" in html
    assert f'id="copy-former-{former.pk}" data-copy-from="id-former-{former.pk}"' in html
    assert f'id="id-former-{former.pk}">AACT.first<' in html
    row.refresh_from_db()
    assert row.version > before
    # Not twice, where the template has that very ID.
    ActionTemplate.objects.filter(pk=row.pk).update(state=State.READY, template_id="AACT.first")
    assert "An earlier attempt" not in client.get(f"/a/studio/templates/{row.public_id}/").content.decode()


def test_staff_see_it_and_find_its_template_by_it(account, owner, client):
    row, former = retried(account)
    record_former(former, Task(former.task_id, "SUCCEEDED", template_id="AACT.first"), now=timezone.now())
    assert find_by_id("AACT.first") == find_by_id(former.task_id) == [row.pk]
    owner.is_staff = True
    owner.save()
    owner.user_permissions.set(Permission.objects.filter(codename__in=["view_actiontemplate", "view_formertask"]))
    client.force_login(owner)
    html = client.get(f"/admin/templategen/actiontemplate/{row.pk}/change/").content.decode()
    assert "AACT.first" in html


# --- what it was billed ---


def held(account, state: State, **values) -> ActionTemplate:
    """One whose attempt is held, as the move that brought it into the line left it."""
    row = make_template(account, state, **{"sent_at": timezone.now() - HOUR, **values})
    ledger.hold(account.pk, ledger.template_reference(row.public_id, row.attempt), milliseconds=12_040)
    return row


def templates(account) -> tuple[int, int]:
    assert not rebuild(check=True)
    usage = usage_of(account.pk)
    return usage.templates.held, usage.templates.used


def lost_and_tried_again(account) -> tuple[ActionTemplate, FormerTask]:
    row = held(account, State.RUNNING)
    assert row.move(State.LOST)
    actions.retry(row, by=None)
    return row, FormerTask.objects.get()


def test_what_an_earlier_attempt_was_billed_is_used_and_counts_against_the_limit(account):
    Quota.objects.create(account=account, templates_per_month=2)
    _row, former = lost_and_tried_again(account)
    assert templates(account) == (1, 0)
    done = Task(former.task_id, "SUCCEEDED", template_id="AACT.first", video_duration=11.5)
    for _ in range(2):
        record_former(former, done, now=timezone.now())
        assert templates(account) == (1, 1)
    assert LedgerEntry.objects.get(kind="settle").ms_used == 11_500
    tally = by_member(account.pk, month_of(timezone.now()))[""]
    assert (tally.begun, tally.made, tally.lost, tally.open) == (2, 1, 0, 1)
    another = make_template(account, State.FAILED)
    with pytest.raises(actions.QuotaError):
        actions.retry(another, by=None)


def test_both_attempts_are_used_where_both_were_made(account):
    row, former = lost_and_tried_again(account)
    record_former(former, Task(former.task_id, "SUCCEEDED", template_id="AACT.first"), now=timezone.now())
    made(row, "second")
    assert templates(account) == (0, 2)


def made(row: ActionTemplate, task_id: str) -> None:
    """The service takes it and makes it."""
    row.refresh_from_db()
    for state, values in (
        (State.SUBMITTING, {"claim_token": "t"}),
        (State.PENDING, {"task_id": task_id}),
        (State.READY, {"template_id": f"AACT.{task_id}", "video_duration": 12.0}),
    ):
        assert row.move(state, **values)


def test_two_tasks_of_one_attempt_are_both_used(account):
    row = held(account, State.SUBMITTING, claim_token="t")
    pipeline.note_task(row, "late", request_id="r")
    record_former(FormerTask.objects.get(), Task("late", "SUCCEEDED", template_id="AACT.late"), now=timezone.now())
    assert templates(account) == (1, 1)
    assert row.move(State.PENDING, task_id="own")
    assert row.move(State.READY, template_id="AACT.own", video_duration=12.0)
    assert templates(account) == (0, 2)


def test_a_task_that_a_person_gives_back_to_its_template_is_used_once(account):
    row, former = lost_and_tried_again(account)
    record_former(former, Task(former.task_id, "SUCCEEDED", template_id="AACT.first"), now=timezone.now())
    made(row, former.task_id)
    assert templates(account) == (0, 1)
    tally = by_member(account.pk, month_of(timezone.now()))[""]
    assert (tally.begun, tally.made, tally.given_up, tally.open) == (2, 1, 1, 0)


def test_a_task_that_its_template_has_taken_back_is_booked_by_the_template(account):
    row, former = lost_and_tried_again(account)
    made(row, former.task_id)
    record_former(former, Task(former.task_id, "SUCCEEDED", template_id="AACT.first"), now=timezone.now())
    assert templates(account) == (0, 1)


def test_what_failed_or_was_canceled_is_used_by_nobody(account):
    for word in ("FAILED", "CANCELED", "UNKNOWN"):
        row = held(account, State.RUNNING)
        assert row.move(State.LOST)
        actions.retry(row, by=None)
        former = FormerTask.objects.get(origin=row)
        record_former(former, Task(former.task_id, word), now=timezone.now())
    assert templates(account) == (3, 0)
