"""From a stored clip to a template ID, against the sandbox, and every way in which it may go otherwise."""

from datetime import timedelta

import pytest
from django.utils import timezone

from templategen import actions, credential_status, jobs, pipeline, sweep
from templategen.clients.build import storage
from templategen.models import ActionTemplate, Event
from templategen.pipeline_models import CredentialStatus
from templategen.states import State
from tests.clips import make_clip
from tests.people import account_of


@pytest.fixture(scope="session")
def good_clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


@pytest.fixture(scope="session")
def slow_clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clips") / "slow.mp4", fps=10)


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture
def queued(product, account, owner, good_clip):
    """A checked template that waits for its turn."""
    template = product.upload(account, good_clip, by=owner)
    product.run_jobs()
    template.refresh_from_db()
    assert template.state == State.QUEUED
    return template


def submits(sandbox):
    return (
        sandbox.overview()["counts"]["submits"] if "submits" in sandbox.overview()["counts"] else len(sandbox.tasks())
    )


def mine(sandbox, template):
    """The tasks that the sandbox made of this template's clip."""
    return [task for task in sandbox.tasks() if template.clip.object_key in task["video_url"]]


def test_a_clip_becomes_a_template_id(product, sandbox, account, owner, good_clip):
    template = product.upload(account, good_clip, by=owner, name="First steps")
    product.run_until_settled(template)
    [task] = mine(sandbox, template)
    assert template.state == State.READY
    assert template.template_id == task["template_id"]
    assert template.task_id == task["task_id"]
    assert template.video_duration == pytest.approx(2.5, abs=0.1)
    assert template.video_ratio == "standard"
    assert template.request_id
    assert template.submit_request_id
    assert [event.to for event in template.events.exclude(to="")][:4] == [
        "uploading",
        "checking",
        "queued",
        "submitting",
    ]


def test_the_poster_is_the_first_frame_as_webp(queued):
    queued.clip.refresh_from_db()
    poster = storage().read_range(queued.clip.poster_key, 0, 12)
    assert (poster[:4], poster[8:]) == (b"RIFF", b"WEBP")


def test_the_facts_and_findings_of_the_check_are_kept(queued):
    queued.clip.refresh_from_db()
    assert queued.clip.passed
    assert queued.clip.facts["codec"] == "h264"
    assert {finding["rule"] for finding in queued.clip.findings} >= {"codec", "fps", "duration", "ratio", "size"}


def test_a_clip_that_breaks_a_limit_is_blocked_and_never_submitted(product, sandbox, account, owner, slow_clip):
    template = product.upload(account, slow_clip, by=owner)
    product.run_until_settled(template)
    template.clip.refresh_from_db()
    assert (template.state, template.error_code) == (State.BLOCKED, "limits")
    assert [finding["rule"] for finding in template.clip.findings if finding["verdict"] == "fail"] == ["fps"]
    assert mine(sandbox, template) == []
    with pytest.raises(actions.NotPossibleError):
        actions.retry(template, by=owner)


def test_bytes_that_are_no_video_are_blocked(product, account, owner, tmp_path):
    path = tmp_path / "page.mp4"
    path.write_bytes(b"<!doctype html>" + b"x" * 5000)
    template = product.run_until_settled(product.upload(account, path, by=owner))
    assert (template.state, template.error_code) == (State.BLOCKED, "limits")


def test_a_doubled_launch_message_submits_once(product, sandbox, queued):
    token = pipeline.claim_submit(queued, now=timezone.now())
    jobs.launch(template_pk=queued.pk, token=token)
    jobs.launch(template_pk=queued.pk, token=token)
    assert len(mine(sandbox, queued)) == 1


def test_a_launch_with_an_old_token_does_nothing(product, sandbox, queued):
    pipeline.claim_submit(queued, now=timezone.now())
    jobs.launch(template_pk=queued.pk, token="another")
    assert mine(sandbox, queued) == []


def test_an_unconfirmed_submit_holds_the_others_back(product, sandbox, account, owner, queued, good_clip):
    sandbox.fault("submit", "lose_answer", times=1)
    product.one_round()
    other = product.upload(account, good_clip, by=owner)
    for _ in range(3):
        product.one_round()
    other.refresh_from_db()
    assert other.state == State.QUEUED


def test_a_submit_whose_worker_died_becomes_unconfirmed(product, sandbox, queued):
    pipeline.claim_submit(queued, now=timezone.now())
    long_ago = timezone.now() - timedelta(minutes=10)
    ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=long_ago, claimed_at=long_ago)
    sweep.once(now=timezone.now())
    queued.refresh_from_db()
    assert queued.state == State.UNCONFIRMED
    assert mine(sandbox, queued) == []


def test_a_claim_whose_message_was_lost_goes_back_into_the_line(product, queued):
    pipeline.claim_submit(queued, now=timezone.now() - timedelta(minutes=10))
    sweep.once(now=timezone.now())
    queued.refresh_from_db()
    assert queued.state == State.QUEUED


def test_a_server_error_on_submit_is_unconfirmed(product, sandbox, queued):
    sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    product.one_round()
    queued.refresh_from_db()
    assert queued.state == State.UNCONFIRMED


def test_throttling_goes_back_into_the_line_and_is_tried_later(product, sandbox, queued):
    sandbox.fault("submit", "status", status=429, code="Throttling.RateQuota", times=1)
    before = timezone.now()
    product.one_round()
    queued.refresh_from_db()
    assert (queued.state, queued.error_code) == (State.QUEUED, "Throttling.RateQuota")
    status = credential_status.status_of(None)
    assert status.submits_held_until > before + timedelta(seconds=3)
    CredentialStatus.objects.update(submits_held_until=timezone.now() + timedelta(minutes=5))
    product.one_round()
    queued.refresh_from_db()
    assert queued.state == State.QUEUED
    CredentialStatus.objects.update(submits_held_until=timezone.now())
    assert product.run_until_settled(queued).state == State.READY
    assert credential_status.status_of(None).throttles == 0


def test_a_wait_that_the_answer_asks_for_is_kept(product, sandbox, queued):
    sandbox.fault("submit", "status", status=429, code="Throttling.RateQuota", retry_after=77, times=1)
    before = timezone.now()
    product.one_round()
    held = credential_status.status_of(None).submits_held_until - before
    assert timedelta(seconds=76) < held < timedelta(seconds=90)


def test_an_address_that_alibaba_could_not_load_is_sent_once_more_with_a_fresh_one(product, sandbox, queued):
    sandbox.fault("submit", "status", status=400, code="InvalidURL.Timeout", times=1)
    assert product.run_until_settled(queued).state == State.READY
    assert queued.attempt == 1


def test_an_address_that_alibaba_could_not_load_twice_is_the_users(product, sandbox, queued):
    sandbox.fault("submit", "status", status=400, code="InvalidURL.Timeout", times=2)
    assert product.run_until_settled(queued).state == State.FAILED
    assert (queued.error_code, mine(sandbox, queued)) == ("InvalidURL.Timeout", [])


def test_a_refusal_by_the_services_own_failure_is_as_good_as_no_answer(product, sandbox, queued):
    sandbox.fault("submit", "status", status=400, code="InternalError.Algo", times=1)
    product.one_round()
    queued.refresh_from_db()
    assert queued.state == State.UNCONFIRMED


@pytest.mark.parametrize(("status", "code"), [(429, "PostpaidBillOverdue"), (400, "Arrearage"), (401, "InvalidApiKey")])
def test_the_sites_own_trouble_pauses_everybody_and_blames_no_clip(
    product, sandbox, account, owner, queued, good_clip, status, code
):
    sandbox.fault("submit", "status", status=status, code=code, times=1)
    product.one_round()
    other = product.upload(account, good_clip, by=owner)
    product.one_round()
    queued.refresh_from_db()
    other.refresh_from_db()
    assert (queued.state, queued.error_code, other.state) == (State.QUEUED, code, State.QUEUED)
    assert other.attempt == 1
    assert mine(sandbox, other) == []
    status = credential_status.status_of(None)
    assert status.pause_code == code
    assert status.pause_request_id


def test_a_paused_credential_lets_one_through_when_due_and_resumes_by_itself(
    product, sandbox, account, owner, queued, good_clip
):
    place = queued.queued_at
    sandbox.fault("submit", "status", status=400, code="Arrearage", times=2)
    product.one_round()
    first = credential_status.status_of(None).probe_at
    CredentialStatus.objects.update(probe_at=timezone.now())
    product.one_round()
    again = credential_status.status_of(None)
    assert (again.paused_at is not None, again.probes) == (True, 1)
    assert again.probe_at > first
    CredentialStatus.objects.update(probe_at=timezone.now())
    product.run_until_settled(queued)
    assert (queued.state, queued.queued_at) == (State.READY, place)
    assert credential_status.paused() == []


def test_a_paused_credential_resumes_by_a_button(product, sandbox, queued):
    sandbox.fault("submit", "status", status=401, code="InvalidApiKey", times=1)
    product.one_round()
    assert credential_status.resume(None)
    assert product.run_until_settled(queued).state == State.READY


def test_a_refused_connection_goes_back_into_the_line(product, queued, settings, free_port):
    from templategen.clients import build

    settings.DASHSCOPE_BASE_URL = f"http://127.0.0.1:{free_port}/api/v1"
    build.forget()
    product.one_round()
    queued.refresh_from_db()
    assert (queued.state, queued.error_code) == (State.QUEUED, "dashscope.unreachable")


def test_a_failure_keeps_code_message_and_request_id_and_can_be_retried(product, sandbox, owner, queued):
    its_own = queued.clip.object_key
    sandbox.fault("task", "fail", code="InvalidFile.FullBody", message="Human not fullbody", times=1, match=its_own)
    product.run_until_settled(queued)
    assert (queued.state, queued.error_code, queued.error_message) == (
        State.FAILED,
        "InvalidFile.FullBody",
        "Human not fullbody",
    )
    assert queued.request_id
    first_task = queued.task_id
    actions.retry(queued, by=owner)
    product.run_until_settled(queued)
    assert (queued.state, queued.attempt, queued.error_code) == (State.READY, 2, "")
    assert queued.task_id != first_task
    assert Event.objects.filter(template=queued, task_id=first_task).exists()


def test_a_failure_without_code_and_message_is_still_explained(product, sandbox, queued):
    sandbox.fault("task", "fail", code="", message="", times=1, match=queued.clip.object_key)
    product.run_until_settled(queued)
    assert (queued.state, queued.error_code) == (State.FAILED, "failed")


def test_a_task_that_the_service_forgot_is_lost_only_after_a_while(product, sandbox, queued):
    sandbox.settings(run_seconds=60)
    product.one_round()
    queued.refresh_from_db()
    sandbox.fault("task", "forget", match=queued.task_id)
    product.one_round()
    product.one_round()
    queued.refresh_from_db()
    assert queued.state in {State.PENDING, State.RUNNING}
    assert queued.unknown_since is not None
    ActionTemplate.objects.filter(pk=queued.pk).update(unknown_since=timezone.now() - timedelta(minutes=11))
    product.run_until_settled(queued)
    assert queued.state == State.LOST


def test_one_task_at_a_time_and_accounts_take_turns(product, sandbox, account, owner, stranger, good_clip):
    sandbox.settings(run_seconds=0.3)
    first = [product.upload(account, good_clip, by=owner) for _ in range(2)]
    second = product.upload(account_of(stranger), good_clip, by=stranger)
    open_at_once = []

    def all_done():
        open_at_once.append(ActionTemplate.objects.at_service().count())
        return not ActionTemplate.objects.exclude(state=State.READY).exists()

    product.run_until(all_done)
    assert max(open_at_once) == 1
    order = [row.pk for row in ActionTemplate.objects.order_by("claimed_at")]
    assert order == [first[0].pk, second.pk, first[1].pk]


def test_a_waiting_template_can_be_canceled_and_tried_again(product, sandbox, owner, queued):
    actions.cancel(queued, by=owner)
    product.one_round()
    queued.refresh_from_db()
    assert queued.state == State.CANCELED
    assert mine(sandbox, queued) == []
    actions.retry(queued, by=owner)
    assert product.run_until_settled(queued).state == State.READY


def test_a_task_in_line_is_canceled_at_the_service_too(product, sandbox, owner, queued):
    sandbox.settings(running_tasks=0)
    product.one_round()
    queued.refresh_from_db()
    assert queued.state == State.PENDING
    actions.cancel(queued, by=owner)
    [task] = mine(sandbox, queued)
    assert (queued.state, task["status"]) == (State.CANCELED, "CANCELED")


def test_a_running_task_cannot_be_canceled(product, sandbox, owner, queued):
    sandbox.settings(run_seconds=30)
    product.run_until(lambda: mine(sandbox, queued) and mine(sandbox, queued)[0]["status"] == "RUNNING")
    queued.refresh_from_db()
    with pytest.raises(actions.NotPossibleError):
        actions.cancel(queued, by=owner)
    sandbox.settings(run_seconds=0)


def test_a_check_that_oss_gives_no_bytes_for_is_done_later(product, sandbox, account, owner, good_clip):
    template = product.upload(account, good_clip, by=owner)
    # In its address the slash is written otherwise.
    its_own = template.clip.object_key.rpartition("/")[2]
    sandbox.fault("oss-get", "status", status=503, code="ServiceUnavailable", times=1, match=its_own)
    product.run_jobs()
    template.refresh_from_db()
    assert (template.state, template.error_code) == (State.CHECKING, "check.storage")
    ActionTemplate.objects.filter(pk=template.pk).update(next_look_at=timezone.now() - timedelta(minutes=1))
    sweep.once(now=timezone.now())
    assert product.run_until_settled(template).state == State.READY


def test_a_check_that_never_comes_to_an_end_is_given_up(product, account, owner, good_clip):
    template = product.upload(account, good_clip, by=owner)
    ActionTemplate.objects.filter(pk=template.pk).update(step_tries=pipeline.CHECK_TRIES)
    product.run_jobs()
    template.refresh_from_db()
    assert (template.state, template.error_code) == (State.BLOCKED, "check.given_up")
    actions.retry(template, by=owner)
    assert product.run_until_settled(template).state == State.READY


def test_a_clip_that_vanished_from_oss_is_said_so(product, account, owner, good_clip):
    template = product.upload(account, good_clip, by=owner)
    storage().delete(template.clip.object_key)
    product.run_jobs()
    template.refresh_from_db()
    assert (template.state, template.error_code) == (State.BLOCKED, "clip.gone")


def test_trash_is_emptied_with_its_objects_after_its_days(product, owner, queued):
    product.run_until_settled(queued)
    queued.clip.refresh_from_db()
    keys = [queued.clip.object_key, queued.clip.poster_key]
    actions.delete(queued, by=owner)
    sweep.once(now=timezone.now() + timedelta(days=29))
    assert ActionTemplate.objects.filter(pk=queued.pk).exists()
    sweep.once(now=timezone.now() + timedelta(days=31))
    assert not ActionTemplate.objects.filter(pk=queued.pk).exists()
    assert [storage().head(key) for key in keys] == [None, None]


def test_an_abandoned_upload_goes_after_a_day(product, account, owner, good_clip):
    template = actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=20_000_000)
    sweep.once(now=timezone.now() + timedelta(days=2))
    template.refresh_from_db()
    assert (template.state, template.clip.__class__.objects.get(pk=template.clip_id).upload_id) == (State.CANCELED, "")
