"""Odd answers, bad moments, and one template's trouble that must not become everybody's."""

from datetime import timedelta
from functools import partial
from xml.etree import ElementTree

import pytest
import requests
from django.db import transaction
from django.utils import timezone

from templategen import actions, pipeline, sweep
from templategen.clients.build import storage
from templategen.clients.dashscope import Task
from templategen.clients.storage import Storage, StorageError, StorageUnreachableError
from templategen.models import ActionTemplate, Clip, Event
from templategen.pipeline import submit
from templategen.states import FOR_A_PERSON, State
from tests.clips import make_clip
from tests.factories import make_template
from tests.people import account_of


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture
def running(product, account):
    return make_template(account, State.RUNNING, sent_at=timezone.now(), next_look_at=timezone.now())


def answer(monkeypatch, answers):
    """Let the service say of each task what ``answers`` holds; an exception is raised."""

    def get_task(_self, task_id):
        found = answers[task_id]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("templategen.clients.dashscope.DashScope.get_task", get_task)


def test_one_look_that_breaks_keeps_no_other_from_being_looked_at(product, account, running, monkeypatch):
    broken = make_template(account, State.RUNNING, next_look_at=timezone.now() - timedelta(hours=1))
    answer(
        monkeypatch,
        {
            broken.task_id: RuntimeError("odd"),
            running.task_id: Task(running.task_id, "SUCCEEDED", template_id="AACT.1"),
        },
    )
    product.one_round()
    running.refresh_from_db()
    broken.refresh_from_db()
    assert (running.state, broken.state) == (State.READY, State.RUNNING)
    assert broken.next_look_at > timezone.now()


def test_one_step_of_the_sweep_that_breaks_keeps_no_other_from_being_done(product, account, monkeypatch):
    template = make_template(account, State.SUBMITTING, claimed_at=timezone.now() - timedelta(hours=1))

    def broken(_now):
        raise RuntimeError("odd")

    monkeypatch.setitem(sweep._STEPS, "checks_rung", broken)
    sweep.once(now=timezone.now())
    template.refresh_from_db()
    assert template.state == State.QUEUED


def test_a_lost_task_that_comes_back_is_ready_after_all(product, running, monkeypatch):
    answer(monkeypatch, {running.task_id: Task(running.task_id, "UNKNOWN")})
    pipeline.look(running)
    ActionTemplate.objects.filter(pk=running.pk).update(unknown_since=timezone.now() - timedelta(minutes=11))
    running.refresh_from_db()
    pipeline.look(running)
    assert running.state == State.LOST
    assert not ActionTemplate.objects.at_service().exists()
    due = ActionTemplate.objects.due_for_look(now=timezone.now() + timedelta(minutes=20))
    assert list(due) == [running]
    answer(monkeypatch, {running.task_id: Task(running.task_id, "SUCCEEDED", template_id="AACT.1")})
    pipeline.look(running)
    assert (running.state, running.template_id) == (State.READY, "AACT.1")


def test_a_lost_task_is_no_longer_asked_for_when_results_are_gone(product, account, monkeypatch):
    lost = make_template(account, State.LOST, sent_at=timezone.now() - timedelta(hours=26))
    answer(monkeypatch, {lost.task_id: Task(lost.task_id, "UNKNOWN")})
    pipeline.look(lost)
    assert not ActionTemplate.objects.due_for_look(now=timezone.now() + timedelta(days=30)).exists()


def test_success_without_a_template_id_is_asked_again_like_a_lost_one_until_the_id_comes(product, running, monkeypatch):
    odd = {"output": {"task_status": "SUCCEEDED", "results": {"template_id": "AACT.x\x00"}}}
    answer(monkeypatch, {running.task_id: Task(running.task_id, "SUCCEEDED", answer=odd)})
    pipeline.look(running)
    running.refresh_from_db()
    assert running.state == State.RUNNING
    ActionTemplate.objects.filter(pk=running.pk).update(unknown_since=timezone.now() - timedelta(minutes=11))
    running.refresh_from_db()
    pipeline.look(running)
    assert (running.state, running.error_code) == (State.LOST, "no_template_id")
    assert "AACT.x" in running.events.get(to=State.LOST).detail["answer"]
    pipeline.look(running)
    running.refresh_from_db()
    assert timezone.now() < running.next_look_at < timezone.now() + timedelta(hours=1)
    answer(monkeypatch, {running.task_id: Task(running.task_id, "SUCCEEDED", template_id="AACT.x")})
    pipeline.look(running)
    assert (running.state, running.template_id, running.error_code) == (State.READY, "AACT.x", "")


@pytest.mark.parametrize("state", [State.SUBMITTING, State.UNCONFIRMED])
def test_an_answer_whose_task_a_person_gave_to_another_template_leaves_it_to_a_person(account, state):
    other = make_template(account, State.RUNNING)
    values = {"claim_token": "t", "sent_at": timezone.now(), "error_code": "", "cancel_wanted_at": timezone.now()}
    row = make_template(account, state, **values)
    submit._outcome("accepted", partial(submit._submitted, row, "t", Task(other.task_id, "PENDING"), sent=row))
    row.refresh_from_db()
    assert (row.state, row.error_code, row.cancel_wanted_at) == (State.UNCONFIRMED, FOR_A_PERSON, None)
    assert [found["task_id"] for found in row.found] == [other.task_id]
    assert row.events.get(kind=Event.Kind.TASK_FOUND).task_id == other.task_id


def test_a_restore_in_the_moment_of_emptying_the_trash_wins(product, account, owner, monkeypatch):
    template = make_template(account, State.READY, deleted_at=timezone.now() - timedelta(days=40))
    atomic = transaction.atomic

    def after_a_restore(*args, **kwargs):
        monkeypatch.undo()
        actions.restore(template, by=owner)
        return atomic(*args, **kwargs)

    monkeypatch.setattr(sweep.transaction, "atomic", after_a_restore)
    sweep._trash(timezone.now())
    assert ActionTemplate.objects.kept().get(pk=template.pk).template_id == template.template_id


def test_objects_of_emptied_trash_are_not_forgotten_while_oss_is_away(product, account, sandbox):
    template = make_template(account, State.READY, deleted_at=timezone.now() - timedelta(days=40))
    keys = [template.clip.object_key, template.clip.poster_key]
    for key in keys:
        storage().put(key, b"x", content_type="video/mp4")
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable")
    sweep.once(now=timezone.now())
    assert Clip.objects.filter(pk=template.clip_id).exists()
    sandbox.clear_faults()
    sweep.once(now=timezone.now())
    assert not Clip.objects.filter(pk=template.clip_id).exists()
    assert [storage().head(key) for key in keys] == [None, None]


def test_objects_that_oss_refuses_to_delete_keep_no_others(product, account, monkeypatch):
    rows = [make_template(account, State.READY, deleted_at=timezone.now() - timedelta(days=40)) for _ in range(24)]
    kept = {row.clip.object_key for row in rows[:12]}

    def delete(_self, *keys):
        if kept.intersection(keys):
            raise StorageError(status=409, code="FileImmutable", message="retention")

    monkeypatch.setattr(Storage, "delete", delete)
    for _ in range(40):
        sweep.once(now=timezone.now())
    assert set(Clip.objects.values_list("object_key", flat=True)) == kept


@pytest.mark.parametrize("decide", [actions.retry, actions.cancel])
def test_nothing_begins_again_from_the_trash_by_a_page_that_is_old(product, account, owner, decide):
    template = make_template(account, State.FAILED if decide is actions.retry else State.QUEUED)
    ActionTemplate.objects.filter(pk=template.pk).update(deleted_at=timezone.now())
    with pytest.raises(actions.NotPossibleError):
        decide(template, by=owner)
    assert ActionTemplate.objects.get(pk=template.pk).state == template.state


def test_a_name_and_an_id_given_at_the_same_time_are_both_found(product, account, owner, running, monkeypatch):
    old_page = ActionTemplate.objects.select_related("clip").get(pk=running.pk)
    actions.rename(running, name="Pirouette", by=owner)
    answer(monkeypatch, {old_page.task_id: Task(old_page.task_id, "SUCCEEDED", template_id="AACT.77")})
    pipeline.look(old_page)
    assert {"pirouette", "aact.77"} <= set(ActionTemplate.objects.get(pk=running.pk).search_text.split())


def test_a_storage_that_is_away_for_long_uses_up_no_try(product, sandbox, account, owner, tmp_path):
    template = product.upload(account, make_clip(tmp_path / "a.mp4"), by=owner)
    sandbox.fault("oss-get", "status", status=503, code="ServiceUnavailable", times=None)
    for _ in range(pipeline.CHECK_TRIES + 3):
        ActionTemplate.objects.filter(pk=template.pk).update(next_look_at=timezone.now() - timedelta(minutes=1))
        sweep.once(now=timezone.now())
        product.run_jobs()
    template.refresh_from_db()
    assert (template.state, template.error_code) == (State.CHECKING, "check.storage")
    sandbox.clear_faults()
    ActionTemplate.objects.filter(pk=template.pk).update(next_look_at=timezone.now() - timedelta(minutes=1))
    sweep.once(now=timezone.now())
    assert product.run_until_settled(template).state == State.READY


def test_the_sweep_rings_no_more_while_the_queue_is_long(product, account, monkeypatch):
    make_template(account, State.CHECKING, next_look_at=timezone.now() - timedelta(hours=1))
    rung = []
    monkeypatch.setattr(actions, "ring", lambda *args, **_kwargs: rung.append(args))
    monkeypatch.setattr(sweep, "queue_size", lambda: 500)
    sweep.once(now=timezone.now())
    assert rung == []


@pytest.mark.parametrize("problem", [requests.exceptions.ChunkedEncodingError("cut"), ElementTree.ParseError("html")])
def test_what_oss2_lets_through_is_translated(product, monkeypatch, problem):
    def broken(*_args, **_kwargs):
        raise problem

    client = storage()
    monkeypatch.setattr(client._bucket, "get_object", broken)
    with pytest.raises(StorageUnreachableError):
        client.read_range("key", 0, 10)
