"""What a person decides where the machine cannot: adopt a task, look again."""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from accounts import ledger
from accounts.usage import usage_of
from templategen import actions, reconcile
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import FOR_A_PERSON, State
from tests.factories import make_template
from tests.people import account_of
from tests.sandbox import API_KEY


@pytest.fixture
def account(owner):
    return account_of(owner)


def submit(sandbox, video_url):
    """A task made at the service; its ID."""
    answer = requests.post(
        f"{sandbox.api_url}/services/aigc/image2video/aa-template-generation/",
        json={"model": "animate-anyone-template-gen2", "input": {"video_url": video_url}},
        headers={"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"},
        timeout=30,
    )
    return answer.json()["output"]["task_id"]


def as_long_as_its_task(template):
    """The sandbox makes 10 s of a clip that it did not download."""
    Clip.objects.filter(pk=template.clip_id).update(duration_s=10.0)
    template.clip.refresh_from_db()
    return template


@pytest.fixture
def undecided(own_product, account):
    sent_at = timezone.now() - timedelta(hours=1)
    return as_long_as_its_task(make_template(
        account, State.UNCONFIRMED, sent_at=sent_at, call_over_at=sent_at, claim_token="t",
        found=[{"task_id": "x", "status": "RUNNING", "made_at": "", "request_id": ""}],
    ))  # fmt: skip


@pytest.fixture
def task_id(own_sandbox):
    own_sandbox.settings(skip_download=True)
    return submit(own_sandbox, "http://127.0.0.1:1/clip.mp4")


def test_an_adopted_task_is_watched_like_any_other(own_product, own_sandbox, owner, undecided, task_id):
    actions.adopt(undecided, task_id=f" {task_id} ", by=owner)
    assert (undecided.state, undecided.found, undecided.error_code) == (State.PENDING, [], "")
    assert undecided.events.get(to=State.PENDING).by == owner
    own_sandbox.wait_for(task_id)
    own_product.run_until_settled(undecided)
    [task] = own_sandbox.tasks()
    assert (undecided.state, undecided.template_id) == (State.READY, task["template_id"])


def test_a_task_of_another_template_is_refused(own_product, account, owner, undecided, task_id):
    other = make_template(account, State.RUNNING, task_id=task_id)
    with pytest.raises(actions.RefusedError, match="another template"):
        actions.adopt(undecided, task_id=task_id, by=owner)
    ActionTemplate.objects.filter(pk=other.pk).update(state=State.QUEUED, task_id="")
    Event.objects.create(template=other, kind=Event.Kind.MOVED, task_id=task_id)
    with pytest.raises(actions.RefusedError, match="another template"):
        actions.adopt(undecided, task_id=task_id, by=owner)
    undecided.refresh_from_db()
    assert undecided.state == State.UNCONFIRMED


def test_a_task_that_made_a_video_of_another_length_is_refused(own_product, own_sandbox, owner, undecided, task_id):
    billed = own_sandbox.wait_for(task_id)["duration"]
    Clip.objects.filter(pk=undecided.clip_id).update(duration_s=billed + 5)
    undecided.clip.refresh_from_db()
    with pytest.raises(actions.RefusedError, match="seconds"):
        actions.adopt(undecided, task_id=task_id, by=owner)
    Clip.objects.filter(pk=undecided.clip_id).update(duration_s=billed + 0.4)
    undecided.clip.refresh_from_db()
    actions.adopt(undecided, task_id=task_id, by=owner)
    assert undecided.state == State.PENDING


@pytest.mark.parametrize("task_id", ["", "../x", "a b", "a" * 101, "x/cancel", "no-such-task"])
def test_what_is_no_task_of_this_account_is_refused(own_product, owner, undecided, task_id):
    with pytest.raises(actions.RefusedError):
        actions.adopt(undecided, task_id=task_id, by=owner)


def test_a_service_that_does_not_answer_is_said_so(own_product, own_sandbox, owner, undecided, task_id):
    own_sandbox.fault("get", "status", status=503, times=1)
    with pytest.raises(actions.ServiceTroubleError):
        actions.adopt(undecided, task_id=task_id, by=owner)


def test_a_lost_one_can_be_given_its_task(own_product, own_sandbox, account, owner, task_id):
    lost = as_long_as_its_task(make_template(account, State.LOST, sent_at=timezone.now() - timedelta(hours=1)))
    own_sandbox.wait_for(task_id)
    actions.adopt(lost, task_id=task_id, by=owner)
    assert own_product.run_until_settled(lost).state == State.READY


def test_nobody_adopts_while_the_machine_still_looks(own_product, owner, undecided, task_id):
    ActionTemplate.objects.filter(pk=undecided.pk).update(error_code="unconfirmed")
    undecided.refresh_from_db()
    with pytest.raises(actions.NotPossibleError):
        actions.adopt(undecided, task_id=task_id, by=owner)


def test_of_two_who_decide_at_once_one_wins(own_product, owner, undecided, task_id):
    old_page = ActionTemplate.objects.get(pk=undecided.pk)
    actions.adopt(undecided, task_id=task_id, by=owner)
    with pytest.raises(actions.NotPossibleError):
        actions.resubmit(old_page, by=owner)


def test_looking_again_brings_back_what_the_list_now_shows(own_product, own_sandbox, owner, undecided):
    own_sandbox.settings(skip_download=True)
    ids = {submit(own_sandbox, f"http://127.0.0.1:1/{number}.mp4") for number in range(2)}
    actions.look_again(undecided, by=owner)
    reconcile.unconfirmed(now=timezone.now())
    undecided.refresh_from_db()
    assert undecided.error_code == FOR_A_PERSON
    assert {task["task_id"] for task in undecided.found} == ids


def test_looking_again_in_vain_keeps_what_was_found(own_product, own_sandbox, owner, undecided):
    own_sandbox.fault("list", "status", status=403, code="AccessDenied", times=1)
    actions.look_again(undecided, by=owner)
    reconcile.unconfirmed(now=timezone.now())
    undecided.refresh_from_db()
    assert (undecided.error_code, [task["task_id"] for task in undecided.found]) == (FOR_A_PERSON, ["x"])


def test_looking_again_at_a_lost_one_is_at_once(own_product, account, owner):
    lost = make_template(account, State.LOST, next_look_at=timezone.now() + timedelta(days=1))
    actions.look_again(lost, by=owner)
    assert list(ActionTemplate.objects.due_for_look(now=timezone.now())) == [lost]
    assert lost.events.get(kind=Event.Kind.LOOK_WANTED).by == owner


def test_there_is_nothing_to_look_at_in_a_waiting_one(own_product, account, owner):
    with pytest.raises(actions.NotPossibleError):
        actions.look_again(make_template(account, State.QUEUED), by=owner)


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING])
def test_a_task_that_nobody_can_read_is_called_lost_once_its_result_is_gone(account, owner, state):
    now = timezone.now()
    template = make_template(account, state, task_id="t1", sent_at=now - timedelta(hours=40))
    reference = ledger.template_reference(template.public_id, 1)
    ledger.hold(account.pk, reference, milliseconds=1000)
    ActionTemplate.objects.update(looked_at=now - timedelta(hours=24))
    template.refresh_from_db()
    with pytest.raises(actions.NotPossibleError, match="may still be read"):
        actions.call_lost(template, by=owner)
    ActionTemplate.objects.update(looked_at=now - timedelta(hours=26))
    stale = ActionTemplate.objects.get()
    template.refresh_from_db()
    actions.call_lost(template, by=owner)
    assert (template.state, template.error_code, template.task_id) == (State.LOST, "unreadable", "t1")
    assert template.events.get(to=State.LOST).by == owner
    assert usage_of(account.pk).templates.held == 0
    with pytest.raises(actions.NotPossibleError):
        actions.call_lost(stale, by=owner)


def test_one_that_was_called_lost_is_ready_after_all_where_its_key_is_read_again(
    own_product, own_sandbox, account, owner, task_id
):
    own_sandbox.wait_for(task_id)
    ago = timezone.now() - timedelta(hours=26)
    template = as_long_as_its_task(make_template(account, State.RUNNING, task_id=task_id, sent_at=ago))
    actions.call_lost(template, by=owner)
    own_product.run_until_settled(template)
    assert template.state == State.LOST
    own_product.one_round()
    template.refresh_from_db()
    assert template.state == State.READY
