"""A submit whose answer never came: found in the task list, or left to a person; never sent again by the machine."""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from templategen import actions, jobs, pipeline, reconcile, sweep
from templategen.clients.dashscope import DashScope, TaskPage
from templategen.models import ActionTemplate, Event
from templategen.states import FOR_A_PERSON, State
from tests.clips import make_clip
from tests.people import account_of
from tests.sandbox import API_KEY


@pytest.fixture
def queued(own_product, owner, tmp_path):
    """A checked template that waits for its turn."""
    template = own_product.upload(account_of(owner), make_clip(tmp_path / "good.mp4"), by=owner)
    own_product.run_jobs()
    template.refresh_from_db()
    return template


def time_passes(template):
    ActionTemplate.objects.filter(pk=template.pk).update(next_look_at=timezone.now())
    reconcile.unconfirmed(now=timezone.now())
    template.refresh_from_db()


def another_program_submits(sandbox):
    requests.post(
        f"{sandbox.api_url}/services/aigc/image2video/aa-template-generation/",
        json={"model": "animate-anyone-template-gen2", "input": {"video_url": "http://127.0.0.1:1/other.mp4"}},
        headers={"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"},
        timeout=5,
    ).raise_for_status()


def test_a_lost_answer_is_found_in_the_task_list_and_never_sent_again(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    queued.refresh_from_db()
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, "unconfirmed")
    time_passes(queued)
    assert queued.state == State.PENDING
    own_product.run_until_settled(queued)
    [task] = own_sandbox.tasks()
    assert (queued.state, queued.template_id) == (State.READY, task["template_id"])


def given_up(template):
    """As long after the call as the list is asked for."""
    ActionTemplate.objects.filter(pk=template.pk).update(sent_at=timezone.now() - reconcile.LOOK_FOR)
    time_passes(template)


def test_what_the_list_does_not_show_is_asked_for_again_and_then_left_to_a_person(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, "unconfirmed")
    given_up(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)
    for _ in range(3):
        own_product.one_round()
    assert own_sandbox.tasks() == []


def test_tasks_of_our_other_templates_are_not_mistaken_for_it(own_product, own_sandbox, owner, queued, tmp_path):
    own_product.run_until_settled(queued)
    other = own_product.upload(account_of(owner), make_clip(tmp_path / "other.mp4"), by=owner)
    own_product.run_jobs()
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    time_passes(other)
    assert (other.state, other.error_code) == (State.UNCONFIRMED, "unconfirmed")


def test_two_without_an_answer_are_never_taken_for_one_another(
    own_product, own_sandbox, owner, queued, settings, tmp_path
):
    settings.DASHSCOPE_SLOTS = 2
    other = own_product.upload(account_of(owner), make_clip(tmp_path / "other.mp4"), by=owner)
    own_product.run_jobs()
    other.refresh_from_db()
    tokens = [pipeline.claim_submit(template, now=timezone.now()) for template in (queued, other)]
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    jobs.launch(template_pk=queued.pk, token=tokens[0])
    own_sandbox.fault("submit", "lose_answer", times=1)
    jobs.launch(template_pk=other.pk, token=tokens[1])
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)


def test_a_list_that_is_refused_for_good_leaves_it_to_a_person_at_once(
    own_product, own_sandbox, owner, queued, tmp_path
):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    own_sandbox.fault("list", "status", status=403, code="AccessDenied")
    time_passes(queued)
    assert queued.error_code == FOR_A_PERSON
    other = own_product.upload(account_of(owner), make_clip(tmp_path / "other.mp4"), by=owner)
    assert own_product.run_until_settled(other).state == State.READY


@pytest.mark.parametrize(
    "answer", [{"data": [{"task_id": "t", "gmt_create": "yesterday"}]}, {"data": [{"task_id": "t"}]}]
)
def test_a_list_that_cannot_be_read_tells_nothing(own_product, own_sandbox, queued, monkeypatch, answer):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    page = TaskPage(rows=answer["data"], page=1, pages=1, total=1)
    monkeypatch.setattr(DashScope, "list_tasks", lambda *_args, **_kwargs: page)
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)


def test_a_task_of_one_left_to_a_person_is_not_taken_for_that_of_the_next(
    own_product, own_sandbox, owner, queued, tmp_path
):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    own_sandbox.fault("list", "status", status=403, code="AccessDenied", times=1)
    time_passes(queued)
    assert queued.error_code == FOR_A_PERSON
    other = own_product.upload(account_of(owner), make_clip(tmp_path / "other.mp4"), by=owner)
    own_product.run_jobs()
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    time_passes(other)
    assert (other.state, other.error_code, len(own_sandbox.tasks())) == (State.UNCONFIRMED, FOR_A_PERSON, 1)


def test_an_answer_that_comes_after_the_worker_was_taken_for_dead_still_counts(
    own_product, own_sandbox, queued, monkeypatch
):
    token = pipeline.claim_submit(queued, now=timezone.now())
    submit = DashScope.submit_template

    def frozen(self, *, video_url):
        """The machine sleeps between the mark and the call; meanwhile the sweep runs elsewhere."""
        long_ago = timezone.now() - timedelta(minutes=10)
        ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=long_ago)
        sweep.once(now=timezone.now())
        assert ActionTemplate.objects.get(pk=queued.pk).state == State.UNCONFIRMED
        return submit(self, video_url=video_url)

    monkeypatch.setattr(DashScope, "submit_template", frozen)
    jobs.launch(template_pk=queued.pk, token=token)
    monkeypatch.undo()
    own_product.run_until_settled(queued)
    [task] = own_sandbox.tasks()
    assert (queued.state, queued.template_id) == (State.READY, task["template_id"])


def test_an_answer_that_comes_after_a_person_decided_is_remembered(
    own_product, own_sandbox, owner, queued, monkeypatch
):
    token = pipeline.claim_submit(queued, now=timezone.now())
    submit = DashScope.submit_template

    def very_late(self, *, video_url):
        mine = ActionTemplate.objects.get(pk=queued.pk)
        pipeline.mark_unconfirmed(mine, token, message="")
        long_ago = timezone.now() - 2 * reconcile.SKEW
        ActionTemplate.objects.filter(pk=queued.pk).update(error_code=FOR_A_PERSON, sent_at=long_ago)
        mine.refresh_from_db()
        actions.cancel(mine, by=owner)
        return submit(self, video_url=video_url)

    monkeypatch.setattr(DashScope, "submit_template", very_late)
    jobs.launch(template_pk=queued.pk, token=token)
    [task] = own_sandbox.tasks()
    assert Event.objects.get(template=queued, kind=Event.Kind.TASK_FOUND).task_id == task["task_id"]


def test_nobody_decides_while_the_machine_still_looks(own_product, own_sandbox, owner, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    queued.refresh_from_db()
    for decide in (actions.resubmit, actions.cancel):
        with pytest.raises(actions.NotPossibleError, match="still being looked"):
            decide(queued, by=owner)


def test_a_person_may_give_up_and_delete_it(own_product, own_sandbox, owner, queued):
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    given_up(queued)
    actions.cancel(queued, by=owner)
    assert (queued.state, queued.error_code) == (State.CANCELED, "given_up")
    actions.delete(queued, by=owner)


def test_what_cannot_be_told_apart_is_left_to_a_person(own_product, own_sandbox, owner, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    another_program_submits(own_sandbox)
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)
    own_product.one_round()
    assert len(own_sandbox.tasks()) == 2
    with pytest.raises(actions.NotPossibleError):
        actions.resubmit(queued, by=owner)
    ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=timezone.now() - 2 * reconcile.SKEW)
    queued.refresh_from_db()
    actions.resubmit(queued, by=owner)
    own_product.run_until_settled(queued)
    assert (queued.state, queued.attempt) == (State.READY, 2)


def test_an_answer_lost_longer_ago_than_the_list_reaches_is_left_to_a_person(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=timezone.now() - timedelta(hours=30))
    time_passes(queued)
    assert queued.error_code == FOR_A_PERSON


def test_a_list_that_does_not_answer_is_asked_again_later(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    own_sandbox.fault("list", "status", status=503, code="ModelUnavailable", times=1)
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, "unconfirmed")
    time_passes(queued)
    assert queued.state == State.PENDING
