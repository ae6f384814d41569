"""A submit whose answer never came: found in the task list, proved absent, or left to a person; never sent blindly."""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from templategen import actions, reconcile
from templategen.models import ActionTemplate
from templategen.states import State
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


def test_what_the_list_proves_absent_goes_back_into_the_line(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    time_passes(queued)
    assert queued.state == State.QUEUED
    own_product.run_until_settled(queued)
    assert (queued.state, len(own_sandbox.tasks())) == (State.READY, 1)


def test_tasks_of_our_other_templates_are_not_mistaken_for_it(own_product, own_sandbox, owner, queued, tmp_path):
    own_product.run_until_settled(queued)
    other = own_product.upload(account_of(owner), make_clip(tmp_path / "other.mp4"), by=owner)
    own_product.run_jobs()
    own_sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    own_product.one_round()
    time_passes(other)
    assert other.state == State.QUEUED


def test_what_cannot_be_told_apart_is_left_to_a_person(own_product, own_sandbox, owner, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    another_program_submits(own_sandbox)
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, reconcile.FOR_A_PERSON)
    own_product.one_round()
    assert len(own_sandbox.tasks()) == 2
    queued.refresh_from_db()
    actions.resubmit(queued, by=owner)
    own_product.run_until_settled(queued)
    assert (queued.state, queued.attempt) == (State.READY, 2)


def test_an_answer_lost_longer_ago_than_the_list_reaches_is_left_to_a_person(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=timezone.now() - timedelta(hours=30))
    time_passes(queued)
    assert queued.error_code == reconcile.FOR_A_PERSON


def test_a_list_that_does_not_answer_is_asked_again_later(own_product, own_sandbox, queued):
    own_sandbox.fault("submit", "lose_answer", times=1)
    own_product.one_round()
    own_sandbox.fault("list", "status", status=503, code="ModelUnavailable", times=1)
    time_passes(queued)
    assert (queued.state, queued.error_code) == (State.UNCONFIRMED, "unconfirmed")
    time_passes(queued)
    assert queued.state == State.PENDING
