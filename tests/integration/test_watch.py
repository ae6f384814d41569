"""Looks at open tasks: list first, within the limit, never held up, and nothing believed that costs a template ID."""

import random
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from templategen import pipeline, tally
from templategen.clients.dashscope import Task
from templategen.models import ActionTemplate, Clip
from templategen.pipeline_models import CredentialStatus, Tally
from templategen.states import State
from templategen.watch import ClosedError, OverdueError, Watcher
from tests.factories import make_template
from tests.running import wait_until


class Clock:
    """Seconds for whatever the watcher does not write into rows; set by hand."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


class Watch:
    """A watcher with its clock, and rows for the tasks that the sandbox was told to make."""

    def __init__(self, sandbox) -> None:
        self.sandbox = sandbox
        self.clock = Clock()
        self.watcher = Watcher(None, news=lambda: None, clock=self.clock)
        self.account = Account.objects.create(name="Watched", slug="watched")

    def open(self, count: int, *, state: State = State.RUNNING, due: bool = True, **order: object):
        """So many tasks at the sandbox, and their rows."""
        order = {"status": "RUNNING", "run_seconds": 3600, "run_spread": 0, **order}
        now = timezone.now()
        made = self.sandbox.control("POST", "tasks", {"count": count, **order})["task_ids"]
        clips = Clip.objects.bulk_create(
            Clip(account=self.account, object_key=f"clips/{task_id}", file_name="dance.mp4", size_bytes=1)
            for task_id in made
        )
        return ActionTemplate.objects.bulk_create(
            ActionTemplate(
                account=self.account,
                clip=clip,
                name="Dance",
                state=state,
                task_id=task_id,
                sent_at=now,
                next_look_at=now if due else now + timedelta(hours=1),
            )
            for clip, task_id in zip(clips, made, strict=True)
        )

    def look(self, *, passes: int = 3) -> None:
        """Passes, each answer waited for."""
        for _ in range(passes):
            self.watcher.one_pass(timezone.now())
            deadline = time.monotonic() + 60
            while self.watcher.busy and time.monotonic() < deadline:
                time.sleep(0.002)
        self.watcher.one_pass(timezone.now())

    def calls(self) -> dict[str, int]:
        calls: dict[str, int] = self.sandbox.overview()["calls"]
        return calls


@pytest.fixture
def watch(own_product, own_sandbox, settings, monkeypatch):
    # Looks are spread at random over an hour: with luck one would be due just when a test counts them.
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    settings.DASHSCOPE_QUERIES_PER_SECOND = 0
    own_sandbox.settings(running_tasks=10_000, skip_download=True)
    watch = Watch(own_sandbox)
    yield watch
    watch.watcher.close()


def states(rows) -> set[str]:
    return set(ActionTemplate.objects.filter(pk__in=[row.pk for row in rows]).values_list("state", flat=True))


def test_a_task_that_ended_is_ready_with_its_times(watch):
    row = watch.open(1, run_seconds=0.2)[0]
    watch.sandbox.wait_for(row.task_id)
    watch.look()
    row.refresh_from_db()
    task = watch.sandbox.tasks()[0]
    assert (row.state, row.template_id) == (State.READY, task["template_id"])
    # Spans by the service's clock, counted from our submit.
    assert (row.ended_at - row.sent_at).total_seconds() == pytest.approx(task["ended"] - task["submitted"], abs=0.01)
    assert row.sent_at <= row.running_at <= row.ended_at <= timezone.now()
    assert row.looked_at is not None


def test_of_many_open_tasks_only_those_that_the_list_calls_ended_are_asked_for(watch):
    at_work, ended = watch.open(250), watch.open(7, run_seconds=0)
    for row in ended:
        watch.sandbox.wait_for(row.task_id)
    watch.look(passes=6)
    assert states(ended) == {State.READY}
    assert states(at_work) == {State.RUNNING}
    assert watch.calls()["gets"] == 7
    assert watch.calls()["lists"] == 3
    watch.clock.now += 2
    watch.look(passes=1)
    assert not ActionTemplate.objects.filter(state=State.RUNNING, next_look_at__lte=timezone.now()).exists()


def test_an_end_is_found_though_the_rows_own_look_is_far_off(watch):
    rows = watch.open(250, due=False)
    watch.look()
    ended = watch.open(2, run_seconds=0, due=False)
    for row in ended:
        watch.sandbox.wait_for(row.task_id)
    watch.clock.now += 10
    watch.look()
    assert states(ended) == {State.READY}
    assert states(rows) == {State.RUNNING}


def test_looks_that_change_nothing_share_a_few_updates(watch):
    watch.open(60)
    watch.look()
    ActionTemplate.objects.update(next_look_at=timezone.now(), looked_at=None)
    watch.clock.now += 5
    with CaptureQueriesContext(
        connection,
    ) as queries:
        watch.look()
    written = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert not ActionTemplate.objects.filter(looked_at=None).exists()
    assert len(written) <= 3


def test_leaving_alibabas_line_is_seen_in_the_list(watch):
    rows = watch.open(10, state=State.PENDING)
    watch.look(passes=4)
    assert states(rows) == {State.RUNNING}
    assert watch.calls()["gets"] == 0
    assert ActionTemplate.objects.filter(running_at__isnull=False).count() == 10


@pytest.mark.parametrize("clamp", [False, True])
def test_the_page_size_is_found_out_and_remembered(watch, clamp):
    watch.sandbox.settings(list_page_max=50, list_page_clamp=clamp)
    rows = watch.open(70, run_seconds=0)
    watch.sandbox.wait_for(rows[-1].task_id)
    for _ in range(4):
        watch.clock.now += 5
        watch.look()
    assert states(rows) == {State.READY}
    status = CredentialStatus.objects.get()
    assert status.page_size == 50
    assert status.page_size_at is not None


def test_a_list_that_cannot_be_read_leaves_single_looks(watch):
    watch.sandbox.fault("list", "status", status=500, times=50)
    rows = watch.open(12, run_seconds=0)
    for row in rows:
        watch.sandbox.wait_for(row.task_id)
    for _ in range(6):
        watch.look(passes=1)
        watch.clock.now += 3
    assert states(rows) == {State.READY}


def test_a_task_that_the_list_does_not_show_is_asked_for_by_itself(watch):
    watch.sandbox.settings(list_lag_seconds=3600)
    rows = watch.open(12, run_seconds=0)
    for row in rows:
        watch.sandbox.wait_for(row.task_id)
    watch.look(passes=5)
    assert states(rows) == {State.READY}


def test_whatever_the_list_says_each_task_is_asked_for_within_the_hour(watch):
    rows = watch.open(10)
    watch.look()
    before = watch.calls()["gets"]
    # From here on the list would show them at work for ever; the fault keeps it from ever telling of an end.
    watch.clock.now += 3601
    ActionTemplate.objects.update(next_look_at=timezone.now())
    watch.look()
    assert watch.calls()["gets"] - before == len(rows)


def test_too_many_queries_hold_all_looks_back_as_long_as_the_answer_says(watch):
    watch.sandbox.fault("get", "status", status=429, code="Throttling.RateQuota", retry_after=30, times=1)
    row = watch.open(1, run_seconds=0)[0]
    watch.sandbox.wait_for(row.task_id)
    watch.look()
    status = CredentialStatus.objects.get()
    held = (status.looks_held_until - timezone.now()).total_seconds()
    assert 0 < held <= 300
    assert watch.calls()["gets"] <= 1
    assert watch.watcher.is_held(timezone.now())
    # Its look stays due: nothing of it is lost when the time comes.
    row.refresh_from_db()
    assert row.next_look_at <= timezone.now()
    CredentialStatus.objects.update(looks_held_until=timezone.now())
    watch.look()
    assert states([row]) == {State.READY}


def test_a_refused_key_pauses_the_credential_and_is_asked_politely(watch):
    watch.sandbox.settings(api_error="InvalidApiKey")
    watch.open(3)
    watch.look(passes=5)
    status = CredentialStatus.objects.get()
    assert status.pause_code == "InvalidApiKey"
    assert status.looks_held_until > timezone.now()
    assert watch.calls()["gets"] + watch.calls()["lists"] <= 3
    assert states(ActionTemplate.objects.all()) == {State.RUNNING}


def test_a_service_that_hangs_holds_up_no_pass_and_no_row_is_asked_twice(watch):
    watch.sandbox.fault("get", "slow", seconds=2, times=20)
    row = watch.open(1)[0]
    begun = time.monotonic()
    for _ in range(10):
        watch.watcher.one_pass(timezone.now())
        ActionTemplate.objects.update(next_look_at=timezone.now())
    # Each would else last two seconds.
    took = time.monotonic() - begun
    assert took < 10
    assert watch.watcher.busy
    watch.look(passes=1)
    row.refresh_from_db()
    assert row.looked_at is not None
    assert watch.calls()["gets"] <= 2 + took / 2


def test_looks_without_an_end_are_given_up_and_stop_no_others(watch, settings):
    settings.DASHSCOPE_CONNECTIONS = 3
    watch.watcher.close()
    watch.watcher = Watcher(None, news=lambda: None, clock=watch.clock)
    watch.sandbox.fault("get", "slow", seconds=60, times=3)
    rows = watch.open(3, run_seconds=0)
    for row in rows:
        watch.sandbox.wait_for(row.task_id)
    watch.watcher.one_pass(timezone.now())
    # The fault is used up when the three calls have come.
    wait_until(lambda: not watch.sandbox.overview()["faults"], what="three looks")
    begun = time.monotonic()
    watch.clock.now += 3 * settings.DASHSCOPE_TIMEOUT_SECONDS + 1
    watch.watcher.one_pass(timezone.now())
    assert not watch.watcher.busy
    # They wait as after any look without an answer.
    assert not ActionTemplate.objects.filter(next_look_at__lte=timezone.now()).exists()
    ActionTemplate.objects.update(next_look_at=timezone.now())
    watch.look(passes=3)
    assert states(rows) == {State.READY}
    assert time.monotonic() - begun < 30


def test_a_machine_without_threads_to_spare_delays_looks_and_stops_none(watch, monkeypatch):
    class NoThread(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    rows = watch.open(3, run_seconds=0)
    for row in rows:
        watch.sandbox.wait_for(row.task_id)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", NoThread)
        for _ in range(50):
            watch.watcher.one_pass(timezone.now())
    assert states(rows) == {State.RUNNING}
    watch.look()
    assert states(rows) == {State.READY}


def test_a_search_of_many_questions_is_given_up_by_its_slowest_only(watch, settings):
    settings.DASHSCOPE_CONNECTIONS = 1
    watch.watcher.close()
    watch.watcher = Watcher(None, news=lambda: None, clock=watch.clock)
    patience = 3 * settings.DASHSCOPE_TIMEOUT_SECONDS

    def long_search(asking):
        for _ in range(4):
            asking.wait()
            watch.clock.now += patience - 1
            time.sleep(0.05)
        return "whole"

    whole = watch.watcher.run(long_search)
    deadline = time.monotonic() + 60
    while not whole.done() and time.monotonic() < deadline:
        watch.watcher.one_pass(timezone.now())
    assert whole.result() == "whole"
    going_on = threading.Event()
    over: list[type[BaseException]] = []

    def hanging(asking):
        asking.wait()
        going_on.wait(100)
        try:
            asking.wait()
        except ClosedError as problem:
            over.append(type(problem))

    search = watch.watcher.run(hanging)
    after = watch.watcher.run(lambda asking: "next")
    deadline = time.monotonic() + 60
    while not search.done() and time.monotonic() < deadline:
        watch.clock.now += patience + 1
        watch.watcher.one_pass(timezone.now())
    assert isinstance(search.exception(), OverdueError)
    # Another thread is in its place; it itself asks nothing more once it comes back.
    assert after.result(60) == "next"
    going_on.set()
    wait_until(lambda: over, what="the end of the first")
    assert over == [ClosedError]


def test_a_service_without_answers_is_left_alone_for_a_while(watch):
    watch.sandbox.fault("api", "status", status=503, times=1000)
    watch.open(30)
    for _ in range(20):
        watch.look(passes=1)
        ActionTemplate.objects.update(next_look_at=timezone.now())
    asked = watch.calls()["gets"] + watch.calls()["lists"]
    assert asked <= 40
    watch.sandbox.clear_faults()
    watch.clock.now += 61
    watch.look(passes=5)
    assert not ActionTemplate.objects.filter(looked_at=None).exists()


def test_an_answer_that_comes_too_late_changes_nothing(watch):
    watch.sandbox.fault("get", "slow", seconds=0.5)
    row = watch.open(1, run_seconds=0)[0]
    watch.sandbox.wait_for(row.task_id)
    watch.watcher.one_pass(timezone.now())
    # Meanwhile another process has recorded something else.
    pipeline.record(row, Task(row.task_id, "FAILED", code="InvalidFile.FullBody"), now=timezone.now())
    watch.look(passes=1)
    row.refresh_from_db()
    assert (row.state, row.template_id) == (State.FAILED, "")


def test_an_end_that_cannot_be_read_yet_starts_the_retention_clock(watch):
    rows = watch.open(6, run_seconds=0)
    for row in rows:
        watch.sandbox.wait_for(row.task_id)
    watch.sandbox.fault("get", "status", status=500, times=100)
    watch.look(passes=4)
    assert states(rows) == {State.RUNNING}
    assert not ActionTemplate.objects.filter(ended_at=None).exists()


def test_queries_stay_within_the_limit(watch, settings):
    # Far enough below it that answers which bunch up on a busy machine stay within it.
    settings.DASHSCOPE_QUERIES_PER_SECOND = 12.0
    watch.sandbox.settings(queries_per_second=20)
    watch.watcher.close()
    watch.watcher = Watcher(None, news=lambda: None)
    rows = watch.open(40, run_seconds=0)
    begun = time.monotonic()
    while states(rows) != {State.READY}:
        assert time.monotonic() - begun < 60
        watch.watcher.one_pass(timezone.now())
        time.sleep(0.02)
    assert time.monotonic() - begun > 40 / 12 - 0.5
    assert watch.sandbox.overview()["throttled"] == 0


def test_looks_and_errors_are_counted(own_product, own_sandbox):
    own_sandbox.fault("get", "status", status=500, times=1)
    account = Account.objects.create(name="Counted", slug="counted")
    task_id = own_sandbox.control("POST", "tasks", {"count": 1, "status": "RUNNING", "run_seconds": 60})["task_ids"][0]
    make_template(account, State.RUNNING, task_id=task_id, sent_at=timezone.now())
    own_product.one_round()
    own_product.one_round()
    tally.flush()
    counted = {(row.name, row.label): row.count for row in Tally.objects.all()}
    assert counted["looks", "get"] >= 2
    assert counted["look_errors", "500 InternalError"] == 1
