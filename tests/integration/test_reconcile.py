"""A submit whose answer never came, against the sandbox: found in its task list, sent again by proof, or a person's.

What the list proves minute by minute stands in test_evidence.py; here the times are short.
"""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from accounts import credentials
from templategen import actions, jobs, pipeline, reconcile, sweep
from templategen.clients.dashscope import DashScope, TaskPage
from templategen.models import ActionTemplate, Event, FormerTask
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


@pytest.fixture(autouse=True)
def quick(settings):
    """The list settles at once; two readings are still needed."""
    settings.RECONCILE_SETTLE_SECONDS = 0.0


def time_passes(template):
    ActionTemplate.objects.filter(pk=template.pk).update(next_look_at=timezone.now())
    reconcile.unconfirmed(now=timezone.now())
    template.refresh_from_db()


def another_program_submits(sandbox):
    requests.post(
        f"{sandbox.api_url}/services/aigc/image2video/aa-template-generation/",
        json={"model": "animate-anyone-template-gen2", "input": {"video_url": "http://127.0.0.1:1/other.mp4"}},
        headers={"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"},
        timeout=30,
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


def test_one_that_was_never_made_is_sent_again_once_that_is_proved(own_product, own_sandbox, owner, queued, tmp_path):
    own_product.run_until_settled(queued)
    other = own_product.upload(account_of(owner), make_clip(tmp_path / "other.mp4"), by=owner)
    own_product.run_jobs()
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    time_passes(other)
    assert (other.state, other.error_code) == (State.UNCONFIRMED, "unconfirmed")
    time_passes(other)
    assert other.state == State.QUEUED
    own_product.run_until_settled(other)
    assert (other.state, other.attempt, len(own_sandbox.tasks())) == (State.READY, 1, 2)


def test_where_no_task_of_ours_shows_that_the_list_is_the_right_one_a_person_decides(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    for _ in range(2):
        time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, FOR_A_PERSON)


def test_one_that_is_made_later_than_the_call_is_found_and_not_sent_again(own_product, own_sandbox, queued, settings):
    settings.RECONCILE_SETTLE_SECONDS = 3.0
    own_sandbox.fault("submit", "make_later", seconds=1.0, times=1)
    own_product.one_round()
    time_passes(queued)
    assert queued.state == State.UNCONFIRMED
    own_product.run_until(lambda: bool(own_sandbox.tasks()) and own_sandbox.tasks()[0]["status"] != "COMING")
    for _ in range(2):
        time_passes(queued)
    own_product.run_until_settled(queued)
    [task] = own_sandbox.tasks()
    assert queued.template_id == task["template_id"]


def test_what_the_answer_says_of_its_request_is_kept(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    queued.refresh_from_db()
    assert queued.submit_request_id
    assert queued.call_over_at is not None


def given_up(template):
    """As long after the call as the list is asked for."""
    long_ago = timezone.now() - timedelta(hours=1)
    ActionTemplate.objects.filter(pk=template.pk).update(sent_at=long_ago, call_over_at=long_ago, search={})
    time_passes(template)


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


def test_a_list_that_cannot_be_read_tells_nothing(own_product, own_sandbox, queued, monkeypatch):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    monkeypatch.setattr(DashScope, "list_tasks", lambda *_args, **_kwargs: TaskPage([], 1, 1, 7))
    for _ in range(4):
        time_passes(queued)
    assert queued.state == State.UNCONFIRMED
    given_up(queued)
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
    [task] = own_sandbox.tasks()
    assert [one["task_id"] for one in other.found] == [task["task_id"]]


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
        long_ago = timezone.now() - timedelta(minutes=10)
        ActionTemplate.objects.filter(pk=queued.pk).update(error_code=FOR_A_PERSON, sent_at=long_ago)
        mine.refresh_from_db()
        actions.cancel(mine, by=owner)
        return submit(self, video_url=video_url)

    monkeypatch.setattr(DashScope, "submit_template", very_late)
    jobs.launch(template_pk=queued.pk, token=token)
    [task] = own_sandbox.tasks()
    assert Event.objects.get(template=queued, kind=Event.Kind.TASK_FOUND).task_id == task["task_id"]


def test_nobody_sends_it_again_while_the_machine_still_looks(own_product, own_sandbox, owner, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    queued.refresh_from_db()
    with pytest.raises(actions.NotPossibleError, match="still being looked"):
        actions.resubmit(queued, by=owner)


def test_a_person_may_give_up_and_delete_it(own_product, own_sandbox, owner, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    own_sandbox.fault("list", "status", status=403, code="AccessDenied", times=1)
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
    ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=timezone.now() - timedelta(minutes=10))
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


def test_an_answer_after_it_was_sent_again_is_kept_for_the_attempt_and_the_key_that_it_was_sent_with(
    own_product, owner, queued, monkeypatch
):
    token = pipeline.claim_submit(queued, now=timezone.now())
    submit = DashScope.submit_template

    def very_late(self, *, video_url):
        mine = ActionTemplate.objects.get(pk=queued.pk)
        pipeline.mark_unconfirmed(mine, token, message="")
        long_ago = timezone.now() - timedelta(minutes=10)
        ActionTemplate.objects.filter(pk=queued.pk).update(error_code=FOR_A_PERSON, sent_at=long_ago)
        mine.refresh_from_db()
        actions.resubmit(mine, by=owner)
        # Meanwhile the account has a key of its own, and the new attempt is claimed for that.
        own = credentials.replace(
            mine.account, secret="sk-own-0123456789abcdef", workspace="", base_url="", alibaba_uid="", by=owner
        )
        assert pipeline.claim_submit(mine, now=timezone.now())
        assert ActionTemplate.objects.get(pk=mine.pk).credential == own
        return submit(self, video_url=video_url)

    monkeypatch.setattr(DashScope, "submit_template", very_late)
    jobs.launch(template_pk=queued.pk, token=token)
    former = FormerTask.objects.get()
    assert (former.origin, former.attempt, former.credential) == (queued, 1, None)
    assert Event.objects.get(template=queued, kind=Event.Kind.TASK_FOUND).attempt == 1
