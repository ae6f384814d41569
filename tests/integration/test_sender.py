"""A sender that is killed or stopped around the paid call: a real process, a real sandbox, never two tasks."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from templategen import jobs, pipeline, reconcile, sender, sweep
from templategen.models import ActionTemplate
from templategen.pipeline import submit
from templategen.states import State
from tests.clips import make_clip
from tests.people import account_of
from tests.running import ROOT, wait_until

# Says where it is before and after the call, and waits there for a word.
_LAUNCH = """
import sys, django
django.setup()
from django.conf import settings
from django.db import connections
connections.databases["default"]["NAME"] = sys.argv[1]
for name in ("DASHSCOPE_BASE_URL", "OSS_ENDPOINT", "OSS_PUBLIC_ENDPOINT"):
    setattr(settings, name, sys.argv[2] + ("/api/v1" if name == "DASHSCOPE_BASE_URL" else ""))
from templategen.clients.dashscope import DashScope
submit = DashScope.submit_template

def stop_at(place):
    print(place, flush=True)
    if sys.argv[5] == place:
        sys.stdin.readline()

def around(self, **kwargs):
    stop_at("before")
    task = submit(self, **kwargs)
    stop_at("after")
    return task

DashScope.submit_template = around
from templategen import jobs
jobs.launch(template_pk=int(sys.argv[3]), token=sys.argv[4])
print("done", flush=True)
"""


@pytest.fixture
def witness(own_product, owner, tmp_path):
    """A task of ours in the list: it shows that the list is the right one."""
    template = own_product.upload(account_of(owner), make_clip(tmp_path / "first.mp4"), by=owner)
    return own_product.run_until_settled(template)


@pytest.fixture
def queued(own_product, owner, tmp_path):
    template = own_product.upload(account_of(owner), make_clip(tmp_path / "good.mp4"), by=owner)
    own_product.run_jobs()
    template.refresh_from_db()
    return template


@pytest.fixture(autouse=True)
def quick(settings):
    settings.RECONCILE_SETTLE_SECONDS = 0.0


@pytest.fixture
def launching(queued, own_sandbox):
    """Begin the launch in a process of its own, which stops before or after its call."""
    if connection.vendor != "sqlite":
        pytest.skip("the process is pointed at a database file")
    children = []

    def begin(place):
        token = pipeline.claim_submit(queued, now=timezone.now())
        database = str(connection.settings_dict["NAME"])
        child = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, database, own_sandbox.url, str(queued.pk), token, place],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        children.append(child)
        while child.stdout.readline().strip() != place:
            assert child.poll() is None
        return child

    yield begin
    for child in children:
        child.kill()
        child.wait(10)
        child.stdin.close()
        child.stdout.close()


def look(template):
    ActionTemplate.objects.filter(pk=template.pk).update(next_look_at=timezone.now())
    reconcile.unconfirmed(now=timezone.now())
    template.refresh_from_db()


def kill(child):
    child.kill()
    child.wait(10)


def test_this_very_process_is_there_and_one_that_ended_is_gone():
    assert sender.is_gone(sender.me()) is False
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    place, _, _ = sender.me().rsplit("/", 2)
    start = sender._stat(child.pid).start
    identity = f"{place}/{child.pid}/{start}"
    assert sender.is_gone(identity) is False
    child.send_signal(signal.SIGSTOP)
    assert sender.is_gone(identity) is False
    child.kill()
    # Dead, and not yet waited for by its parent.
    wait_until(lambda: sender.is_gone(identity))
    child.wait(10)
    assert sender.is_gone(identity) is True


def test_another_process_with_the_same_number_is_not_the_sender():
    place, number, start = sender.me().rsplit("/", 2)
    assert sender.is_gone(f"{place}/{number}/{int(start) + 1}") is True


@pytest.mark.parametrize("identity", ["", "another-boot/pid:[1]/1/1", "nonsense", "a/b/c/d"])
def test_of_another_machine_nothing_is_claimed(identity):
    assert sender.is_gone(identity) is None


def test_a_sender_killed_before_its_call_is_found_gone_and_the_clip_sent_again(
    own_product, own_sandbox, witness, queued, launching
):
    kill(launching("before"))
    assert reconcile.bury_senders(now=timezone.now()) == 1
    queued.refresh_from_db()
    assert queued.state == State.UNCONFIRMED
    for _ in range(2):
        look(queued)
    assert queued.state == State.QUEUED
    own_product.run_until_settled(queued)
    assert (queued.state, len(own_sandbox.tasks())) == (State.READY, 2)


def test_a_sender_killed_after_its_call_is_found_gone_and_its_task_adopted(own_product, own_sandbox, queued, launching):
    kill(launching("after"))
    reconcile.bury_senders(now=timezone.now())
    look(queued)
    own_product.run_until_settled(queued)
    [task] = own_sandbox.tasks()
    assert (queued.state, queued.template_id) == (State.READY, task["template_id"])


def test_a_stopped_sender_is_never_taken_for_gone_and_its_late_answer_counts(
    own_product, own_sandbox, queued, launching, settings
):
    child = launching("before")
    child.send_signal(signal.SIGSTOP)
    settings.DASHSCOPE_TIMEOUT_SECONDS = settings.LAUNCH_LEASE_SECONDS = 0.0
    sweep.once(now=timezone.now())
    queued.refresh_from_db()
    assert queued.state == State.UNCONFIRMED
    settings.DASHSCOPE_TIMEOUT_SECONDS = 30.0
    for _ in range(5):
        assert reconcile.bury_senders(now=timezone.now()) == 0
        look(queued)
        own_product.one_round()
    queued.refresh_from_db()
    assert (queued.state, own_sandbox.tasks()) == (State.UNCONFIRMED, [])
    child.send_signal(signal.SIGCONT)
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.wait(60) == 0
    own_product.run_until_settled(queued)
    [task] = own_sandbox.tasks()
    assert queued.template_id == task["template_id"]


def test_a_sender_that_slept_between_claim_and_call_sends_nothing(own_product, own_sandbox, queued, monkeypatch):
    token = pipeline.claim_submit(queued, now=timezone.now())
    times = iter([0.0, 3600.0])
    monkeypatch.setattr("templategen.pipeline.submit._awake", lambda: next(times))
    pipeline.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    assert (queued.state, queued.error_code, own_sandbox.tasks()) == (State.QUEUED, "dashscope.unreachable", [])


def test_a_sender_told_to_stop_in_the_middle_of_its_call_says_so(own_product, queued, monkeypatch):
    def told_to_stop(*_args, **_kwargs):
        raise SystemExit(1)

    monkeypatch.setattr("templategen.clients.dashscope.DashScope.submit_template", told_to_stop)
    token = pipeline.claim_submit(queued, now=timezone.now())
    with pytest.raises(SystemExit):
        pipeline.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    assert queued.state == State.UNCONFIRMED
    assert queued.call_over_at is not None


def test_an_accepted_submit_is_stored_although_the_database_was_away_for_a_moment(
    own_product, own_sandbox, queued, monkeypatch
):
    token = pipeline.claim_submit(queued, now=timezone.now())
    move, failures = ActionTemplate.move, [1, 2]

    def away(self, *args, **kwargs):
        if failures:
            failures.pop()
            raise OperationalError("gone")
        return move(self, *args, **kwargs)

    monkeypatch.setattr(ActionTemplate, "move", away)
    monkeypatch.setattr("templategen.pipeline.submit._PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr("templategen.pipeline.submit.close_old_connections", lambda: None)
    pipeline.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    assert (queued.state, len(own_sandbox.tasks())) == (State.PENDING, 1)


@pytest.mark.parametrize("written", [True, False])
def test_a_database_that_goes_away_just_before_the_call_costs_nothing(own_product, own_sandbox, queued, written):
    token = pipeline.claim_submit(queued, now=timezone.now())
    cut = []

    def go_away(execute, sql, params, many, context):
        if cut or not sql.startswith("UPDATE") or '"claimed_by"' not in sql:
            return execute(sql, params, many, context)
        cut.append(sql)
        if written:
            execute(sql, params, many, context)
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(go_away), pytest.raises(OperationalError):
        jobs.launch(template_pk=queued.pk, token=token)
    queued.refresh_from_db()
    assert (len(cut), own_sandbox.tasks()) == (1, [])
    # What was not written is as it was: the sweep rings for it.
    assert (queued.state, queued.sent_at) == (State.QUEUED if written else State.SUBMITTING, None)
    if written:
        assert own_product.run_until_settled(queued).state == State.READY
        assert len(own_sandbox.tasks()) == 1


def test_nor_is_a_call_taken_back_that_another_has_begun_meanwhile(own_product, queued):
    token = pipeline.claim_submit(queued, now=timezone.now())
    begun = timezone.now()
    ActionTemplate.objects.filter(pk=queued.pk).update(sent_at=begun, claimed_by="another")
    for other in (
        {"sent_at": begun, "claimed_by": "me"},
        {"sent_at": begun - timedelta(seconds=1), "claimed_by": "another"},
    ):
        submit._give_back(queued, token, code="", begun=other)
    queued.refresh_from_db()
    assert (queued.state, queued.sent_at) == (State.SUBMITTING, begun)
