"""Cancel at any point before a task runs, and what becomes of it when the task is quicker."""

from datetime import timedelta

import pytest
from django.utils import timezone

from templategen import actions, jobs, pipeline, reconcile, sweep
from templategen.clients.dashscope import DashScope, Task
from templategen.models import ActionTemplate, Event
from templategen.states import State
from tests.clips import make_clip
from tests.factories import make_template
from tests.people import account_of


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture
def good_clip(tmp_path):
    return make_clip(tmp_path / "good.mp4")


@pytest.fixture
def queued(own_product, account, owner, good_clip):
    template = own_product.upload(account, good_clip, by=owner)
    own_product.run_jobs()
    template.refresh_from_db()
    return template


@pytest.fixture
def pending(own_product, own_sandbox, queued):
    """Its task waits in Alibaba's line."""
    own_sandbox.settings(running_tasks=0)
    own_product.one_round()
    queued.refresh_from_db()
    assert queued.state == State.PENDING
    return queued


def test_while_it_is_being_checked(own_product, account, owner, good_clip):
    template = own_product.upload(account, good_clip, by=owner)
    assert actions.cancel(template, by=owner)
    own_product.run_jobs()
    template.refresh_from_db()
    assert (template.state, template.clip.checked_at) == (State.CANCELED, None)


def test_what_was_canceled_before_its_check_was_done_is_checked_when_tried_again(
    own_product, own_sandbox, account, owner, good_clip
):
    template = own_product.upload(account, good_clip, by=owner)
    actions.cancel(template, by=owner)
    actions.retry(template, by=owner)
    assert template.state == State.CHECKING
    assert own_product.run_until_settled(template).state == State.READY
    assert template.clip.checked_at is not None


def test_a_check_that_ends_after_the_cancel_changes_nothing(own_product, account, owner, good_clip, monkeypatch):
    template = own_product.upload(account, good_clip, by=owner)
    probe = pipeline.check.__globals__["probe"]

    def slow(source):
        actions.cancel(ActionTemplate.objects.get(pk=template.pk), by=owner)
        return probe(source)

    monkeypatch.setitem(pipeline.check.__globals__, "probe", slow)
    own_product.run_jobs()
    template.refresh_from_db()
    assert template.state == State.CANCELED


def test_after_its_claim_and_before_its_call(own_product, own_sandbox, owner, queued):
    token = pipeline.claim_submit(queued, now=timezone.now())
    assert actions.cancel(queued, by=owner)
    jobs.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    assert (queued.state, own_sandbox.tasks()) == (State.CANCELED, [])


def test_during_its_call_it_is_canceled_as_soon_as_its_task_is_known(
    own_product, own_sandbox, owner, queued, monkeypatch
):
    own_sandbox.settings(running_tasks=0)
    token = pipeline.claim_submit(queued, now=timezone.now())
    submit = DashScope.submit_template

    def slow(self, **kwargs):
        assert actions.cancel(ActionTemplate.objects.get(pk=queued.pk), by=owner) is False
        return submit(self, **kwargs)

    monkeypatch.setattr(DashScope, "submit_template", slow)
    jobs.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    [task] = own_sandbox.tasks()
    assert (queued.state, queued.cancel_wanted_at, task["status"]) == (State.CANCELED, None, "CANCELED")
    assert queued.events.get(kind=Event.Kind.CANCEL_WANTED).by == owner
    assert queued.events.get(to=State.CANCELED).by == owner


@pytest.mark.parametrize(("status", "code"), [(429, "Throttling.RateQuota"), (400, "Arrearage")])
def test_during_a_call_that_is_then_refused_it_does_not_go_back_into_the_line(
    own_product, own_sandbox, owner, queued, monkeypatch, status, code
):
    own_sandbox.fault("submit", "status", status=status, code=code, times=1)
    token = pipeline.claim_submit(queued, now=timezone.now())
    submit = DashScope.submit_template

    def slow(self, **kwargs):
        actions.cancel(ActionTemplate.objects.get(pk=queued.pk), by=owner)
        return submit(self, **kwargs)

    monkeypatch.setattr(DashScope, "submit_template", slow)
    jobs.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    assert (queued.state, queued.cancel_wanted_at, own_sandbox.tasks()) == (State.CANCELED, None, [])


def test_while_its_answer_is_looked_for_it_is_canceled_once_it_is_found(
    own_product, own_sandbox, owner, queued, settings
):
    settings.RECONCILE_SETTLE_SECONDS = 0.0
    own_sandbox.settings(running_tasks=0)
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    queued.refresh_from_db()
    assert actions.cancel(queued, by=owner) is False
    reconcile.unconfirmed(now=timezone.now())
    own_product.run_jobs()
    queued.refresh_from_db()
    [task] = own_sandbox.tasks()
    assert (queued.state, task["status"]) == (State.CANCELED, "CANCELED")


def test_a_wish_whose_message_was_lost_is_rung_for_again(own_product, own_sandbox, owner, pending):
    long_ago = timezone.now() - timedelta(minutes=5)
    ActionTemplate.objects.filter(pk=pending.pk).update(cancel_wanted_at=long_ago, changed_at=long_ago)
    assert sweep.once(now=timezone.now())["cancels_rung"] == 1
    own_product.run_jobs()
    pending.refresh_from_db()
    assert pending.state == State.CANCELED


def test_in_alibabas_line(own_sandbox, owner, pending):
    assert actions.cancel(pending, by=owner)
    [task] = own_sandbox.tasks()
    assert (pending.state, task["status"]) == (State.CANCELED, "CANCELED")


def test_a_task_that_has_begun_meanwhile_is_shown_as_what_it_is(own_sandbox, owner, pending):
    own_sandbox.settings(running_tasks=1, run_seconds=30)
    own_sandbox.wait_for(pending.task_id, "RUNNING")
    with pytest.raises(actions.NotPossibleError, match="has begun"):
        actions.cancel(pending, by=owner)
    pending.refresh_from_db()
    assert (pending.state, pending.error_code, pending.cancel_wanted_at) == (State.RUNNING, "cancel.late", None)


def test_a_task_that_has_ended_meanwhile_is_recorded_by_the_next_look(own_product, own_sandbox, owner, pending):
    own_sandbox.settings(running_tasks=1, run_seconds=0)
    own_sandbox.wait_for(pending.task_id, "SUCCEEDED")
    with pytest.raises(actions.NotPossibleError, match="ended it already"):
        actions.cancel(pending, by=owner)
    assert own_product.run_until_settled(pending).state == State.READY
    assert pending.error_code == ""


def test_a_cancel_whose_answer_is_lost_is_read_anew(own_sandbox, owner, pending):
    own_sandbox.fault("cancel", "lose_answer", times=1)
    assert actions.cancel(pending, by=owner)
    [task] = own_sandbox.tasks()
    assert (pending.state, task["status"]) == (State.CANCELED, "CANCELED")


@pytest.mark.parametrize("fault", [{"status": 429, "code": "Throttling.RateQuota"}, {"status": 503, "code": ""}])
def test_a_cancel_that_the_service_did_not_take_is_asked_for_again(own_product, own_sandbox, owner, pending, fault):
    own_sandbox.fault("cancel", "status", times=1, **fault)
    assert actions.cancel(pending, by=owner) is False
    assert pending.state == State.PENDING
    own_product.run_jobs()
    pending.refresh_from_db()
    assert pending.state == State.CANCELED


def test_a_service_that_does_not_answer_at_all_is_said_so(own_sandbox, owner, pending):
    for place in ("cancel", "get"):
        own_sandbox.fault(place, "status", status=503, times=1)
    with pytest.raises(actions.ServiceTroubleError):
        actions.cancel(pending, by=owner)
    pending.refresh_from_db()
    assert pending.state == State.PENDING


def service_says(monkeypatch, status):
    """The cancel is answered with 200, whatever its body says; then the task is this."""
    monkeypatch.setattr(DashScope, "cancel_task", lambda _self, _task_id: None)
    monkeypatch.setattr(DashScope, "get_task", lambda _self, task_id: Task(task_id, status))


@pytest.mark.parametrize("status", ["PENDING", "UNKNOWN", ""])
def test_it_is_canceled_only_once_a_look_says_so(account, owner, monkeypatch, status):
    row = make_template(account, State.PENDING, sent_at=timezone.now())
    service_says(monkeypatch, status)
    assert actions.cancel(row, by=owner) is False
    actions.carry_out_cancel(template_pk=row.pk)
    row.refresh_from_db()
    assert (row.state, row.cancel_wanted_at is None) == (State.PENDING, False)
    service_says(monkeypatch, "CANCELED")
    actions.carry_out_cancel(template_pk=row.pk)
    row.refresh_from_db()
    assert (row.state, row.cancel_wanted_at) == (State.CANCELED, None)


def test_a_cancel_that_was_taken_and_cannot_be_looked_at_is_asked_for_again(own_product, own_sandbox, owner, pending):
    own_sandbox.fault("get", "status", status=503, times=1)
    assert actions.cancel(pending, by=owner) is False
    own_product.run_jobs()
    pending.refresh_from_db()
    assert pending.state == State.CANCELED


@pytest.mark.parametrize("state", [State.RUNNING, State.READY, State.FAILED, State.LOST, State.BLOCKED])
def test_too_late(db, account, owner, state):
    with pytest.raises(actions.NotPossibleError):
        actions.cancel(make_template(account, state), by=owner)


def test_a_row_that_moves_on_while_somebody_decides_is_looked_at_again(own_product, own_sandbox, owner, queued):
    own_sandbox.settings(running_tasks=0)
    old_page = ActionTemplate.objects.get(pk=queued.pk)
    own_product.one_round()
    assert actions.cancel(old_page, by=owner)
    [task] = own_sandbox.tasks()
    assert (old_page.state, task["status"]) == (State.CANCELED, "CANCELED")
