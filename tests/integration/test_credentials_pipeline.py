"""Accounts with API keys of their own, through the whole pipeline: each with its own, and never with another's."""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from accounts import credentials
from accounts.models import Account
from templategen import actions, credential_status, jobs, pipeline, reconcile, restored
from templategen.clients import build
from templategen.credentials import credential_of, learn_owner, owner_of
from templategen.models import ActionTemplate
from templategen.pipeline import submit
from templategen.pipeline_models import CredentialStatus, KeyOwner
from templategen.states import FOR_A_PERSON, State
from templategen.web.hold import hold_of
from tests.clips import make_clip
from tests.conftest import point_at
from tests.factories import make_template
from tests.product import Product
from tests.sandbox import Sandbox

KEYS = {"first": "sk-first-0123456789", "second": "sk-second-0123456789", "shared": "sk-shared-0123456789"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


def start(folder):
    # "shared" is another key of the first's Alibaba account.
    told = {KEYS["first"]: "first", KEYS["second"]: "second", KEYS["shared"]: "first", "sk-sandbox": "sandbox"}
    return Sandbox(folder, *(f"--api-key={key}={account}" for key, account in told.items()))


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    sandbox = start(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def quick(transactional_db, settings):
    settings.RECONCILE_SETTLE_SECONDS = 0.0
    settings.PAUSE_PROBE_SECONDS = 0.0
    return settings


@pytest.fixture
def world(quick, process, clip):
    process.quick()
    point_at(process, quick)
    return World(process, clip)


@pytest.fixture
def new_world(quick, tmp_path, clip):
    """With a sandbox whose task list holds nothing of other tests."""
    sandbox = start(tmp_path)
    point_at(sandbox, quick)
    yield World(sandbox, clip)
    sandbox.stop()


class World:
    """Accounts, their keys, and what the sandbox knows of their templates."""

    def __init__(self, sandbox, clip):
        self.sandbox = sandbox
        self.product = Product()
        self._clip = clip

    def account(self, slug, key=""):
        account = Account.objects.create(name=slug.title(), slug=slug)
        if key:
            self.use(account, key)
        return account

    def use(self, account, key):
        return credentials.replace(account, secret=KEYS[key], workspace="", base_url="", alibaba_uid="", by=None)

    def queue(self, account):
        """A checked template that waits for its turn."""
        template = self.product.upload(account, self._clip)
        self.product.run_jobs()
        template.refresh_from_db()
        assert template.state == State.QUEUED
        return template

    def made_by(self, template):
        """The Alibaba accounts under which tasks of its clip were made."""
        return [task["account"] for task in self.sandbox.tasks() if template.clip.object_key in task["video_url"]]


def fresh(template):
    template.refresh_from_db()
    return template


def claim(template):
    token = pipeline.claim_submit(template, now=timezone.now())
    assert token
    return token


def test_each_account_is_served_with_its_own_key_and_one_without_with_the_sites(world):
    accounts = [world.account("a", "first"), world.account("b", "second"), world.account("c")]
    rows = [world.queue(account) for account in accounts]
    for row in rows:
        world.product.run_until_settled(row)
    assert [row.state for row in rows] == [State.READY] * 3
    assert [world.made_by(row) for row in rows] == [["first"], ["second"], ["sandbox"]]
    assert [row.credential_id for row in rows[:2]] == [credentials.in_use(row.account_id).pk for row in rows[:2]]
    assert rows[2].credential_id is None
    assert [row.made_with_fingerprint for row in rows] == [
        credentials.fingerprint_of(key) for key in (KEYS["first"], KEYS["second"], "sk-sandbox")
    ]


def test_the_alibaba_account_is_learnt_from_the_first_task(world):
    account = world.account("a", "first")
    world.product.run_until_settled(world.queue(account))
    own = credentials.in_use(account.pk)
    assert own.alibaba_uid
    assert KeyOwner.objects.get(fingerprint=own.fingerprint).alibaba_uid == own.alibaba_uid


def test_each_key_has_its_own_slots(world):
    world.sandbox.settings(run_seconds=3600)
    rows = [world.queue(world.account("a", "first")), world.queue(world.account("b", "second"))]
    world.product.run_until(lambda: all(fresh(row).state in {State.PENDING, State.RUNNING} for row in rows))


def test_a_paused_key_holds_nobody_else(world, settings):
    settings.PAUSE_PROBE_SECONDS = 600.0
    held, other = world.account("a", "first"), world.account("b", "second")
    row = world.queue(held)
    world.sandbox.fault("submit", "status", status=400, code="Arrearage", times=1)
    world.product.run_until(lambda: hold_of(held) is not None)
    rest = [world.queue(other), world.queue(world.account("c"))]
    for each in rest:
        assert world.product.run_until_settled(each).state == State.READY
    assert (fresh(row).state, hold_of(held).is_own, hold_of(other)) == (State.QUEUED, True, None)
    assert world.made_by(row) == []


def test_an_open_task_is_watched_with_the_retired_key_and_what_waits_goes_with_the_new_one(world):
    account = world.account("a", "first")
    old = credentials.in_use(account.pk)
    world.sandbox.settings(run_seconds=3600)
    open_one = world.queue(account)
    waiting = world.queue(account)
    world.product.run_until(lambda: fresh(open_one).state == State.RUNNING)
    new = world.use(account, "second")
    world.product.run_until(lambda: fresh(waiting).state == State.RUNNING)
    assert (open_one.credential_id, waiting.credential_id) == (old.pk, new.pk)
    world.sandbox.settings(run_seconds=0)
    assert world.made_by(waiting) == ["second"]


def test_a_task_ends_well_after_its_key_was_removed(world):
    account = world.account("a", "first")
    world.sandbox.settings(run_seconds=3600)
    row = world.queue(account)
    world.product.run_until(lambda: fresh(row).state in {State.PENDING, State.RUNNING})
    credentials.retire(account, by=None)
    world.sandbox.settings(run_seconds=0)
    assert world.product.run_until_settled(row).state == State.READY
    assert world.made_by(row) == ["first"]


def test_no_paid_call_is_made_with_a_key_that_was_replaced_since_the_claim(world):
    account = world.account("a", "first")
    row = world.queue(account)
    token = claim(row)
    world.use(account, "second")
    jobs.launch(template_pk=row.pk, token=token)
    assert (fresh(row).state, world.made_by(row)) == (State.QUEUED, [])
    assert world.product.run_until_settled(row).state == State.READY
    assert world.made_by(row) == ["second"]


@pytest.mark.parametrize(("before", "after"), [("first", ""), ("first", "second"), ("", "second")])
def test_nor_with_one_that_was_replaced_in_the_moment_before_the_call(world, monkeypatch, before, after):
    account = world.account("a", before)
    row = world.queue(account)
    token = claim(row)
    sign = build.storage().sign_get

    def sign_while_somebody_decides(*given, **more):
        world.use(account, after) if after else credentials.retire(account, by=None)
        return sign(*given, **more)

    monkeypatch.setattr(build.storage(), "sign_get", sign_while_somebody_decides)
    pipeline.launch(template_pk=row.pk, token=token)
    assert world.made_by(row) == []
    assert (fresh(row).state, row.sent_at) == (State.SUBMITTING, None)


def test_a_key_that_cannot_be_read_pauses_its_own_line_and_never_bills_the_site(world, settings):
    settings.PAUSE_PROBE_SECONDS = 600.0
    account = world.account("a", "first")
    row = world.queue(account)
    keys, settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS, ["lost"]
    world.product.run_until(lambda: hold_of(account) is not None)
    other = world.queue(world.account("c"))
    assert world.product.run_until_settled(other).state == State.READY
    hold = hold_of(account)
    assert (hold.code, hold.is_own) == ("credential.unreadable", True)
    assert "cannot be read" in str(hold.why.what)
    assert (fresh(row).state, world.made_by(row)) == (State.QUEUED, [])
    settings.CREDENTIAL_KEYS = keys
    credential_status.resume(credentials.in_use(account.pk).pk)
    assert world.product.run_until_settled(row).state == State.READY
    assert world.made_by(row) == ["first"]


def test_a_canceled_one_ends_where_its_key_cannot_be_read(world, settings):
    account = world.account("a", "first")
    row = world.queue(account)
    token = claim(row)
    ActionTemplate.objects.filter(pk=row.pk).update(cancel_wanted_at=timezone.now())
    settings.CREDENTIAL_KEYS = ["lost"]
    submit.launch(template_pk=row.pk, token=token)
    assert fresh(row).state == State.CANCELED


def test_who_cancels_a_task_whose_key_cannot_be_read_is_told_so(world, settings):
    account = world.account("a", "first")
    row = make_template(account, State.PENDING, credential=credentials.in_use(account.pk))
    lost = make_template(account, State.LOST, credential=row.credential)
    settings.CREDENTIAL_KEYS = ["lost"]
    with pytest.raises(actions.ServiceTroubleError, match="cannot be read"):
        actions.cancel(row, by=None)
    with pytest.raises(actions.ServiceTroubleError, match="cannot be read"):
        actions.adopt(lost, task_id="some-task", by=None)


def test_a_doubled_message_takes_nothing_back_that_another_has_sent(world):
    account = world.account("a", "first")
    row = world.queue(account)
    token = claim(row)
    ActionTemplate.objects.filter(pk=row.pk).update(sent_at=timezone.now())
    credentials.retire(account, by=None)
    submit._give_back(fresh(row), token, code="")
    assert fresh(row).state == State.SUBMITTING


def test_tasks_whose_key_cannot_be_read_wait_and_the_others_are_watched(world, settings):
    account = world.account("a", "first")
    world.sandbox.settings(run_seconds=3600)
    row, other = world.queue(account), world.queue(world.account("c"))
    world.product.run_until(lambda: fresh(row).task_id and fresh(other).task_id)
    build.forget()
    keys, settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS, ["lost"]
    world.sandbox.settings(run_seconds=0)
    world.product.conductor = type(world.product.conductor)()
    assert world.product.run_until_settled(other).state == State.READY
    assert fresh(row).state in {State.PENDING, State.RUNNING}
    assert CredentialStatus.objects.get(key=str(row.credential_id)).pause_code == "credential.unreadable"
    settings.CREDENTIAL_KEYS = keys
    CredentialStatus.objects.update(looks_held_until=None)
    assert world.product.run_until_settled(row).state == State.READY


def test_tasks_of_a_key_that_was_deleted_are_asked_for_with_the_new_one_of_the_same_alibaba_account(new_world):
    account = new_world.account("a", "first")
    new_world.sandbox.settings(run_seconds=3600)
    row = new_world.queue(account)
    new_world.product.run_until(lambda: bool(fresh(row).task_id))
    new = new_world.use(account, "shared")
    learn_owner(new.fingerprint, owner_of(credentials.fingerprint_of(KEYS["first"])))
    new_world.sandbox.forget_key(KEYS["first"])
    new_world.sandbox.settings(run_seconds=0)
    assert new_world.product.run_until_settled(row).state == State.READY
    assert row.credential_id != new.pk


def test_tasks_of_a_key_that_was_deleted_are_never_asked_for_with_anothers(new_world):
    account = new_world.account("a", "first")
    new_world.sandbox.settings(run_seconds=3600)
    row = new_world.queue(account)
    new_world.product.run_until(lambda: bool(fresh(row).task_id))
    new = new_world.use(account, "second")
    learn_owner(new.fingerprint, "another")
    new_world.sandbox.forget_key(KEYS["first"])
    new_world.sandbox.settings(run_seconds=0)
    status = CredentialStatus.objects.filter(key=str(row.credential_id), pause_code="InvalidApiKey")
    new_world.product.run_until(status.exists)
    for _ in range(3):
        new_world.product.one_round()
    assert fresh(row).state in {State.PENDING, State.RUNNING}


def test_a_pause_of_a_retired_key_is_forgotten_once_nothing_is_open(world):
    account = world.account("a", "first")
    world.sandbox.settings(run_seconds=3600)
    row = world.queue(account)
    world.product.run_until(lambda: bool(fresh(row).task_id))
    credentials.retire(account, by=None)
    credential_status.pause(row.credential_id, code="InvalidApiKey", message="")
    world.sandbox.settings(run_seconds=0)
    world.product.run_until_settled(row)
    world.product.conductor._credentials_at = 0.0
    world.product.run_until(lambda: not CredentialStatus.objects.filter(key=str(row.credential_id)).exists())


def test_a_lost_one_that_is_looked_at_no_more_has_its_key_watched_no_more(world):
    account = world.account("a", "first")
    row = make_template(account, State.LOST, credential_id=credential_of(account.pk), next_look_at=timezone.now())
    world.product.one_round()
    assert row.credential_id in world.product.conductor._watchers
    ActionTemplate.objects.filter(pk=row.pk).update(next_look_at=timezone.now() + timedelta(days=3650))
    world.product.conductor._credentials_at = 0.0
    world.product.run_until(lambda: row.credential_id not in world.product.conductor._watchers)


# --- submits without an answer ---


def lose_answer(world, row, kind="lose_answer", **options):
    world.sandbox.fault("submit", kind, times=1, **options)
    world.product.one_round()
    assert fresh(row).state == State.UNCONFIRMED


def test_an_answer_that_was_lost_is_found_with_the_own_key_by_the_conductor(new_world):
    row = new_world.queue(new_world.account("a", "first"))
    lose_answer(new_world, row)
    # Nothing else is open: this row alone has its credential watched.
    new_world.product.conductor._credentials_at = 0.0

    def ready():
        ActionTemplate.objects.filter(pk=row.pk).update(next_look_at=timezone.now())
        return fresh(row).state == State.READY

    new_world.product.run_until(ready)
    assert new_world.made_by(row) == ["first"]


def test_one_whose_key_can_never_be_read_again_is_left_to_a_person(new_world, settings):
    row = new_world.queue(new_world.account("a", "first"))
    lose_answer(new_world, row)
    build.forget()
    settings.CREDENTIAL_KEYS = ["lost"]
    new_world.product.conductor = type(new_world.product.conductor)()
    new_world.product.one_round()
    assert fresh(row).error_code == "unconfirmed"
    long_ago = timezone.now() - timedelta(hours=2)
    ActionTemplate.objects.filter(pk=row.pk).update(sent_at=long_ago, call_over_at=long_ago, next_look_at=long_ago)
    new_world.product.run_until(lambda: fresh(row).error_code == FOR_A_PERSON)
    actions.cancel(row, by=None)
    assert fresh(row).state == State.CANCELED


def another_program_submits(sandbox, key):
    requests.post(
        f"{sandbox.api_url}/services/aigc/image2video/aa-template-generation/",
        json={"model": "animate-anyone-template-gen2", "input": {"video_url": "http://127.0.0.1:1/other.mp4"}},
        headers={"Authorization": f"Bearer {KEYS[key]}", "X-DashScope-Async": "enable"},
        timeout=30,
    ).raise_for_status()


def look(row, times=2):
    for _ in range(times):
        ActionTemplate.objects.filter(pk=row.pk).update(next_look_at=timezone.now())
        reconcile.unconfirmed(now=timezone.now())
        fresh(row)


def test_a_task_of_a_strangers_key_is_never_adopted(new_world):
    account = new_world.account("a", "second")
    first = new_world.queue(account)
    new_world.product.run_until_settled(first)
    row = new_world.queue(account)
    new_world.sandbox.fault("submit", "status", status=500, code="InternalError", times=1)
    new_world.product.one_round()
    another_program_submits(new_world.sandbox, "first")
    look(row)
    assert fresh(row).task_id == ""
    assert row.state == State.QUEUED


def unanswered_beside(world, key):
    """A row whose answer was lost, while one of an account with ``key`` is being submitted."""
    mine = world.account("a", "first")
    other = world.account("b", key)
    row = world.queue(mine)
    lose_answer(world, row)
    own = credentials.in_use(other.pk)
    make_template(other, State.SUBMITTING, credential=own, sent_at=timezone.now())
    return row, own


def test_while_another_key_of_the_same_alibaba_account_submits_nothing_is_adopted(new_world):
    row, own = unanswered_beside(new_world, "shared")
    for key in ("first", "shared"):
        learn_owner(credentials.fingerprint_of(KEYS[key]), "7")
    look(row)
    assert (fresh(row).state, row.task_id) == (State.UNCONFIRMED, "")
    assert row.error_code != FOR_A_PERSON
    ActionTemplate.objects.filter(credential=own).update(state=State.BLOCKED)
    look(row)
    assert fresh(row).state == State.PENDING


def test_a_submit_under_another_alibaba_account_keeps_nobody_from_being_found(new_world):
    row, _own = unanswered_beside(new_world, "second")
    learn_owner(credentials.fingerprint_of(KEYS["first"]), "7")
    learn_owner(credentials.fingerprint_of(KEYS["second"]), "8")
    look(row)
    assert fresh(row).state == State.PENDING


# --- after a restore ---


def test_after_a_restore_each_row_is_shown_the_tasks_of_its_own_key_only(world):
    own, other = world.account("a", "second"), world.account("c")
    rows = [world.queue(own), world.queue(other)]
    another_program_submits(world.sandbox, "second")
    listed = {pk: restored.unowned_tasks(pk)[0] for pk in restored.credentials_in_question()}
    own_pk = credentials.in_use(own.pk).pk
    assert set(listed) == {None, own_pk}
    restored.hold(listed)
    found = [{task["task_id"] for task in fresh(row).found} for row in rows]
    assert rows[0].credential_id == own_pk
    assert found[0]
    assert not found[0] & found[1]
    assert [row.state for row in rows] == [State.UNCONFIRMED] * 2
