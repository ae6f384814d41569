"""Who is handed over: free slots, turns that outlive the process, nothing without the lease."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from templategen import credential_status, handover
from templategen.conductor import Conductor
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus, Lease, Turn
from templategen.states import State
from tests.factories import make_template

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lease() -> LeaseHolder:
    lease = LeaseHolder("conductor")
    assert lease.acquire()
    return lease


def line(slug: str, count: int, *, minutes_ago: int = 10) -> list[ActionTemplate]:
    """An account with so many waiting, a minute apart."""
    account = Account.objects.create(name=slug, slug=slug)
    since = timezone.now() - timedelta(minutes=minutes_ago)
    return [
        make_template(account, State.QUEUED, name=f"{slug}{n + 1}", queued_at=since + timedelta(minutes=n))
        for n in range(count)
    ]


def handed_over() -> list[str]:
    return list(ActionTemplate.objects.filter(state=State.SUBMITTING).values_list("name", flat=True))


def finish_all() -> None:
    ActionTemplate.objects.filter(state=State.SUBMITTING).update(state=State.BLOCKED)


def test_accounts_take_turns_and_within_one_first_comes_first(lease):
    line("a", 3, minutes_ago=30)
    line("b", 2)
    order = []
    for _ in range(5):
        assert handover.hand_over(lease, now=timezone.now()) == 1
        order += handed_over()
        finish_all()
    assert order == ["a1", "b1", "a2", "b2", "a3"]


def test_turns_outlive_the_process(lease):
    line("a", 2, minutes_ago=30)
    line("b", 1)
    handover.hand_over(lease, now=timezone.now())
    finish_all()
    assert Turn.objects.count() == 1
    lease.release()
    other = LeaseHolder("conductor")
    assert other.acquire()
    handover.hand_over(other, now=timezone.now())
    assert handed_over() == ["b1"]


def answer_all() -> None:
    """Every submit that is under way is answered: its task waits in Alibaba's line."""
    for row in ActionTemplate.objects.filter(state=State.SUBMITTING):
        ActionTemplate.objects.filter(pk=row.pk).update(state=State.PENDING, task_id=f"task-{row.pk}")


def test_as_many_go_as_slots_and_alibabas_line_may_hold(lease, settings):
    settings.DASHSCOPE_SLOTS, settings.DASHSCOPE_PENDING = 2, 1
    line("a", 5)
    counts = []
    for _ in range(5):
        counts.append(handover.hand_over(lease, now=timezone.now()))
        answer_all()
    assert counts == [1, 1, 1, 0, 0]
    names = ActionTemplate.objects.filter(state=State.PENDING).order_by("queued_at").values_list("name", flat=True)
    assert list(names) == ["a1", "a2", "a3"]


def test_one_submit_at_a_time_so_that_two_lost_answers_are_told_apart(lease, settings):
    settings.DASHSCOPE_SLOTS = 5
    line("a", 2)
    assert handover.hand_over(lease, now=timezone.now()) == 1
    assert handover.hand_over(lease, now=timezone.now()) == 0


def test_a_task_at_the_service_holds_its_slot(lease):
    rows = line("a", 1)
    make_template(rows[0].account, State.RUNNING)
    assert handover.hand_over(lease, now=timezone.now()) == 0


def test_the_try_of_a_paused_credential_takes_a_slot_like_any_other(lease):
    rows = line("a", 1)
    running = make_template(rows[0].account, State.RUNNING)
    credential_status.pause(None, code="Arrearage", message="")
    later = timezone.now() + timedelta(hours=2)
    assert handover.hand_over(lease, now=later) == 0
    ActionTemplate.objects.filter(pk=running.pk).update(state=State.FAILED)
    assert handover.hand_over(lease, now=later) == 1


def test_a_claim_that_another_was_faster_at_costs_a_paused_credential_no_try(lease, monkeypatch):
    line("a", 1)
    credential_status.pause(None, code="Arrearage", message="")
    CredentialStatus.objects.update(probe_at=timezone.now() - timedelta(minutes=1))
    monkeypatch.setattr("templategen.pipeline.claim_submit", lambda _template, now: None)
    assert handover.hand_over(lease, now=timezone.now()) == 0
    status = CredentialStatus.objects.get()
    assert (status.probes, status.probe_at < timezone.now()) == (0, True)


def test_without_the_lease_nobody_is_handed_over(lease):
    line("a", 1)
    Lease.objects.update(owner="another")
    assert handover.hand_over(lease, now=timezone.now()) == 0
    assert handed_over() == []


def test_a_conductor_whose_lease_went_to_another_decides_nothing(product, settings):
    line("a", 1)
    conductor = Conductor()
    assert conductor.lease.acquire()
    Lease.objects.update(owner="another")
    conductor.one_pass()
    assert handed_over() == []


def test_one_that_waits_for_its_time_keeps_no_other_account_waiting(lease):
    rows = line("a", 1, minutes_ago=30)
    ActionTemplate.objects.filter(pk=rows[0].pk).update(next_look_at=timezone.now() + timedelta(minutes=5))
    line("b", 1)
    handover.hand_over(lease, now=timezone.now())
    assert handed_over() == ["b1"]


def test_a_lease_is_written_seldom_and_lost_by_time():
    seconds = 0.0
    holder = LeaseHolder("x", length=timedelta(seconds=20), clock=lambda: seconds)
    now = timezone.now()
    assert holder.hold(now=now)
    until = Lease.objects.get(name="x").until
    seconds = 4.0
    assert holder.hold(now=now + timedelta(seconds=4))
    assert Lease.objects.get(name="x").until == until
    seconds = 6.0
    assert holder.hold(now=now + timedelta(seconds=6))
    assert Lease.objects.get(name="x").until == until + timedelta(seconds=6)
    other = LeaseHolder("x")
    assert not other.hold(now=now + timedelta(seconds=25))
    assert other.hold(now=now + timedelta(seconds=27))
    seconds = 27.0
    assert not holder.hold(now=now + timedelta(seconds=27))
