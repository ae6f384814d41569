"""Quota through the pipeline: held when a template waits, settled when it is ready, released at every other end."""

import re
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.utils import timezone
from django_q.models import OrmQ

from accounts import ledger
from accounts.models import Account, LedgerEntry, Quota, Role, StorageUse, UsageMonth
from accounts.usage import rebuild, usage_of
from templategen import actions, handover, sweep
from templategen.clients.build import storage
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate, Clip
from templategen.states import FOR_A_PERSON, HOLDING, MOVES, OVER_QUOTA, Booking, State, booking_of
from tests.clips import make_clip
from tests.factories import make_template
from tests.people import account_of, make_person

SIZE = 1_000_000


@pytest.fixture(scope="session")
def good_clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture
def quota(account):
    return Quota.objects.create(
        account=account, templates_per_month=2, seconds_per_month=100, storage_bytes=50_000_000, tasks_at_once=None
    )


def templates(account):
    usage = usage_of(account.pk)
    return usage.templates.held, usage.templates.used


def limit(account, **values):
    Quota.objects.update_or_create(account=account, defaults=values)


def balanced(account):
    """Held is what waits or is being made, used is what is ready; counters are the sum of their entries."""
    rows = ActionTemplate.objects.of(account)
    held, used = templates(account)
    return not rebuild(check=True) and (held, used) == (
        rows.filter(state__in=HOLDING).count(),
        rows.filter(state=State.READY).count(),
    )


# --- the table ---


def test_every_move_into_the_line_holds_and_every_way_out_of_it_ends_the_hold():
    for start, ways in MOVES.items():
        for to in ways:
            booking = booking_of(start, to)
            if start in HOLDING:
                ending = Booking.SETTLE if to == State.READY else Booking.RELEASE
                assert booking == (None if to in HOLDING else ending)
            elif to == State.QUEUED:
                assert booking == Booking.HOLD
    assert booking_of(State.LOST, State.READY) == Booking.SETTLE
    assert booking_of(State.UPLOADING, State.CHECKING) == Booking.SETTLE_BYTES
    assert booking_of(State.UPLOADING, State.CANCELED) == Booking.RELEASE_BYTES


# --- a template's way ---


def test_a_template_is_held_while_it_waits_and_used_at_the_billed_length(product, account, owner, quota, good_clip):
    template = product.upload(account, good_clip, by=owner)
    assert templates(account) == (0, 0)
    assert usage_of(account.pk).storage.used == good_clip.stat().st_size
    product.run_jobs()
    template.refresh_from_db()
    assert template.state == State.QUEUED
    assert templates(account) == (1, 0)
    hold = LedgerEntry.objects.get(kind="hold", month__isnull=False)
    assert (hold.by, hold.ms_held) == (owner, round(template.clip.duration_s * 1000))
    product.run_until_settled(template)
    assert templates(account) == (0, 1)
    assert UsageMonth.objects.get().ms_used == round(template.video_duration * 1000)
    assert balanced(account)


@pytest.mark.parametrize("state", sorted(HOLDING - {State.SUBMITTING, State.UNCONFIRMED}))
def test_what_is_canceled_is_free_again(db, account, quota, state):
    template = make_template(account, State.FAILED)
    actions.retry(template, by=None)
    ActionTemplate.objects.filter(pk=template.pk).update(state=state, task_id="t")
    template.refresh_from_db()
    assert template.move(State.CANCELED)
    assert templates(account) == (0, 0)
    assert balanced(account)


def test_a_lost_one_is_free_again_and_used_when_the_service_knows_it_again(db, account, quota):
    template = make_template(account, State.FAILED)
    actions.retry(template, by=None)
    for state in (State.SUBMITTING, State.PENDING, State.LOST):
        template.move(state, claim_token="t", task_id="task")
    assert templates(account) == (0, 0)
    template.move(State.RUNNING)
    template.move(State.READY, template_id="AACT.x", video_duration=7.5)
    assert templates(account) == (0, 1)
    assert UsageMonth.objects.get().ms_used == 7500
    assert balanced(account)


def test_what_the_service_bills_without_a_number_counts_as_long_as_the_clip(db, account):
    template = make_template(account, State.RUNNING)
    template.move(State.READY, template_id="AACT.x", video_duration=None)
    assert UsageMonth.objects.get().ms_used == 12_040


def test_a_refused_submit_keeps_its_hold_and_its_place(db, account, quota):
    template = make_template(account, State.FAILED)
    actions.retry(template, by=None)
    template.move(State.SUBMITTING, claim_token="t")
    template.move(State.QUEUED, claim_token="")
    assert templates(account) == (1, 0)
    assert LedgerEntry.objects.count() == 1


def test_what_waited_before_there_was_a_ledger_is_used_when_it_is_ready(db, account, quota):
    ready, failed = make_template(account, State.RUNNING), make_template(account, State.RUNNING)
    ready.move(State.READY, template_id="AACT.x", video_duration=3.0)
    failed.move(State.FAILED)
    assert templates(account) == (0, 1)
    assert not rebuild(check=True)


def test_a_move_that_loses_books_nothing(db, account, quota):
    template = make_template(account, State.FAILED)
    late = ActionTemplate.objects.select_related("clip").get(pk=template.pk)
    actions.retry(template, by=None)
    with pytest.raises(actions.NotPossibleError):
        actions.retry(late, by=None)
    assert templates(account) == (1, 0)
    assert LedgerEntry.objects.count() == 1


# --- over the limit ---


def test_over_the_limit_a_good_clip_is_blocked_and_made_later_without_a_new_check(
    product, account, owner, quota, good_clip
):
    template = product.upload(account, good_clip, by=owner)
    limit(account, templates_per_month=0)
    product.run_jobs()
    template.refresh_from_db()
    assert (template.state, template.error_code, template.clip.passed) == (State.BLOCKED, OVER_QUOTA, True)
    assert template.clip.poster_key
    with pytest.raises(actions.QuotaError, match=r"limit is 0.* A new month begins on "):
        actions.retry(template, by=owner)
    template.refresh_from_db()
    assert (template.state, template.attempt) == (State.BLOCKED, 1)
    limit(account, templates_per_month=1)
    checked_at = Clip.objects.get(pk=template.clip_id).checked_at
    actions.retry(template, by=owner)
    assert (template.state, template.attempt) == (State.QUEUED, 2)
    product.run_until_settled(template)
    assert template.state == State.READY
    assert Clip.objects.get(pk=template.clip_id).checked_at == checked_at
    assert balanced(account)


def test_too_few_seconds_block_too(product, account, owner, good_clip):
    template = product.upload(account, good_clip, by=owner)
    limit(account, seconds_per_month=1)
    product.run_jobs()
    template.refresh_from_db()
    assert (template.error_code, template.error_message) == (OVER_QUOTA, "seconds")
    assert templates(account) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "length", "code"),
    [
        ({"templates_per_month": 0}, 0, "quota.templates"),
        ({"seconds_per_month": 1}, 0, "quota.seconds"),
        ({"seconds_per_month": 10}, 10_001, "quota.seconds"),
    ],
)
def test_what_could_not_be_made_this_month_is_refused_before_a_byte_is_sent(
    product, client, account, owner, limits, length, code
):
    limit(account, **limits)
    client.force_login(owner)
    body = {"file_name": "a.mp4", "size": SIZE, "fingerprint": "f", "milliseconds": length}
    answer = client.post(f"/a/{account.slug}/uploads/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)
    assert "A new month begins on" in answer.json()["error"]["text"]
    assert "administrators" in answer.json()["error"]["text"]
    assert ActionTemplate.objects.count() == StorageUse.objects.filter(bytes_held__gt=0).count() == 0


def test_what_just_fits_into_the_month_is_begun(product, account, owner):
    limit(account, templates_per_month=1, seconds_per_month=10)
    begun = actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=SIZE, milliseconds=10_000)
    assert begun.state == State.UPLOADING


def test_the_notice_comes_and_goes_with_the_pages_poll(client, account, owner):
    limit(account, templates_per_month=1)
    client.force_login(owner)
    assert 'id="quota" data-mark=""' in client.get(f"/a/{account.slug}/").content.decode()
    waiting = make_template(account, State.CHECKING)
    waiting.move(State.QUEUED)
    asked = {"t": f"{waiting.public_id}.1", "quota": ""}
    page = client.get(f"/a/{account.slug}/live/", asked).content.decode()
    assert "The account has reached a limit." in page
    mark = re.search(r'id="quota" data-mark="(\w+)"', page)[1]
    assert 'id="quota"' not in client.get(f"/a/{account.slug}/live/", {**asked, "quota": mark}).content.decode()
    limit(account, templates_per_month=10)
    page = client.get(f"/a/{account.slug}/live/", {**asked, "quota": mark}).content.decode()
    assert 'id="quota" data-mark=""' in page


def test_a_failed_one_stays_failed_where_nothing_is_left(db, account):
    limit(account, templates_per_month=0)
    template = make_template(account, State.FAILED)
    with pytest.raises(actions.QuotaError) as caught:
        actions.retry(template, by=None)
    assert caught.value.code == "quota.templates"
    template.refresh_from_db()
    assert (template.state, template.attempt, template.version) == (State.FAILED, 1, 1)


def test_sent_again_by_a_person_the_new_attempt_takes_the_place_of_the_old(db, account):
    limit(account, templates_per_month=1)
    template = make_template(account, State.FAILED)
    actions.retry(template, by=None)
    hour_ago = timezone.now() - timedelta(hours=1)
    template.move(State.SUBMITTING, claim_token="t", sent_at=hour_ago)
    template.move(State.UNCONFIRMED, error_code=FOR_A_PERSON)
    actions.resubmit(template, by=None)
    assert (template.state, template.attempt) == (State.QUEUED, 3)
    assert templates(account) == (1, 0)
    assert list(LedgerEntry.objects.order_by("pk").values_list("kind", "reason")) == [
        ("hold", ""),
        ("release", "given_up"),
        ("hold", ""),
    ]


def test_over_the_limit_all_that_is_stored_stays_in_reach(client, owner, account):
    limit(account, templates_per_month=0, seconds_per_month=0, storage_bytes=0)
    template = make_template(account, State.READY)
    client.force_login(owner)
    page = client.get(f"/a/{account.slug}/")
    assert template.template_id in page.content.decode()
    assert client.get(f"/a/{account.slug}/templates/{template.public_id}/").status_code == 200
    assert client.get(f"/a/{account.slug}/templates/{template.public_id}/video/").status_code == 302


# --- storage ---


def test_an_upload_holds_its_size_until_it_is_canceled(product, account, owner, quota):
    template = actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=30_000_000)
    assert usage_of(account.pk).storage.held == 30_000_000
    with pytest.raises(actions.QuotaError) as caught:
        actions.begin_upload(account, by=owner, file_name="b.mp4", size_bytes=30_000_000)
    assert caught.value.code == "quota.storage"
    assert ActionTemplate.objects.count() == Clip.objects.count() == 1
    actions.cancel(template, by=owner)
    assert usage_of(account.pk).storage.held == 0
    actions.begin_upload(account, by=owner, file_name="b.mp4", size_bytes=30_000_000)


def test_an_upload_that_could_not_be_begun_holds_nothing(product, account, owner, quota, sandbox):
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable")
    with pytest.raises(actions.StorageTroubleError):
        actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=SIZE)
    assert usage_of(account.pk).storage.held == 0
    assert not rebuild(check=True)


def test_a_stored_clip_counts_until_its_object_is_gone(product, account, owner, quota, good_clip, settings):
    template = product.upload(account, good_clip, by=owner)
    template.move(State.BLOCKED)
    actions.delete(template, by=owner)
    size = good_clip.stat().st_size
    assert usage_of(account.pk).storage.used == size
    later = timezone.now() + timedelta(days=settings.TRASH_DAYS, minutes=1)
    sweep.once(now=later)
    assert usage_of(account.pk).storage.used == 0
    assert not Clip.objects.exists()
    assert not rebuild(check=True)


def test_the_page_answers_409_with_a_text(product, client, account, owner):
    limit(account, storage_bytes=10)
    client.force_login(owner)
    body = {"file_name": "a.mp4", "size": SIZE, "fingerprint": "f"}
    answer = client.post(f"/a/{account.slug}/uploads/", body, content_type="application/json")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "quota.storage"
    assert "storage is full" in answer.json()["error"]["text"]


# --- whose turn it is ---


@pytest.fixture
def lease(transactional_db):
    lease = LeaseHolder("conductor")
    assert lease.acquire()
    return lease


def test_no_more_of_an_account_is_handed_over_than_it_may_have_at_once(lease, account, settings):
    settings.DASHSCOPE_SLOTS = 10
    limit(account, tasks_at_once=2)
    for _ in range(4):
        make_template(account, State.QUEUED)
    other = account_of(make_person("other@example.com", "other"))
    make_template(other, State.QUEUED)
    make_template(other, State.QUEUED)
    counts = []
    for _ in range(5):
        counts.append(handover.hand_over(lease, now=timezone.now()))
        # Its submit is answered; the next may go.
        for row in ActionTemplate.objects.filter(state=State.SUBMITTING):
            ActionTemplate.objects.filter(pk=row.pk).update(state=State.PENDING, task_id=f"task-{row.pk}")
    assert counts == [1, 1, 1, 1, 0]
    assert ActionTemplate.objects.of(account).filter(state=State.PENDING).count() == 2
    limit(account, tasks_at_once=0)
    ActionTemplate.objects.filter(state=State.PENDING).update(state=State.BLOCKED)
    assert handover.hand_over(lease, now=timezone.now()) == 0


def test_nothing_of_a_suspended_account_is_handed_over_and_its_cards_say_so(lease, client, account, owner):
    make_template(account, State.QUEUED)
    Account.objects.filter(pk=account.pk).update(status=Account.Status.SUSPENDED)
    assert handover.hand_over(lease, now=timezone.now()) == 0
    client.force_login(owner)
    page = client.get(f"/a/{account.slug}/").content.decode()
    assert "Studio is suspended: you can look" in page
    assert "On hold while the account is suspended" in page
    Account.objects.update(status=Account.Status.ACTIVE)
    assert handover.hand_over(lease, now=timezone.now()) == 1


# --- the mail ---


def test_owners_get_one_mail_at_each_threshold(product, account, owner):
    make_person("viewer@example.com", account.slug).memberships.update(role=Role.VIEWER)
    limit(account, templates_per_month=5)

    def told():
        cache.delete("sweep.quota")
        sweep.once(now=timezone.now())
        product.run_jobs()
        sent, mail.outbox = [(message.to, message.subject) for message in mail.outbox], []
        return sent

    for number in range(4):
        assert told() == []
        ledger.hold(account.pk, f"template:{number}:1", milliseconds=1000)
    assert told() == [(["owner@example.com"], "Studio has used 80 percent of a limit")]
    assert told() == []
    ledger.hold(account.pk, "template:4:1", milliseconds=1000)
    [(to, subject)] = told()
    assert (to, subject) == (["owner@example.com"], "Studio has reached a limit")
    ledger.release(account.pk, "template:4:1")
    ledger.hold(account.pk, "template:5:1", milliseconds=1000)
    assert told() == []


def test_nobody_is_told_of_a_limit_of_nothing(product, account):
    limit(account, templates_per_month=0, storage_bytes=10)
    ledger.hold_bytes(account.pk, "clip:a", size=1)
    cache.delete("sweep.quota")
    assert sweep.once(now=timezone.now())["owners_told"] == 0


def test_the_object_of_an_upload_canceled_while_it_was_completed_is_thrown_away(product, account, owner, good_clip):
    size = good_clip.stat().st_size
    template = actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=size)
    clip = template.clip
    storage().put_part(clip.object_key, clip.upload_id, 1, good_clip.read_bytes())
    other = ActionTemplate.objects.select_related("clip").get(pk=template.pk)
    # As in the moment between completing and the move.
    storage().complete_multipart(clip.object_key, clip.upload_id, storage().list_parts(clip.object_key, clip.upload_id))
    actions.cancel(other, by=owner)
    assert storage().head(clip.object_key) is None
    assert usage_of(account.pk).storage.used == usage_of(account.pk).storage.held == 0


def test_a_mail_that_was_lost_or_could_not_be_sent_is_sent_later(product, account, monkeypatch):
    limit(account, templates_per_month=1)
    ledger.hold(account.pk, "template:a:1", milliseconds=1000)

    def told(*, until_run=True):
        cache.clear()
        sweep.once(now=timezone.now())
        if until_run:
            product.run_jobs()
        return len(mail.outbox)

    # Its message is lost with the queue.
    told(until_run=False)
    OrmQ.objects.all().delete()
    monkeypatch.setattr("templategen.owner_mails.send_mail", lambda *_args: 1 / 0)
    with suppress(ZeroDivisionError):
        told()
    assert mail.outbox == []
    monkeypatch.undo()
    assert told() == 1
    assert told() == 1


def test_an_account_that_may_have_no_task_is_told_why_its_line_stands(client, account, owner):
    make_template(account, State.QUEUED)
    client.force_login(owner)
    assert "Its limit of tasks at once is 0." not in client.get(f"/a/{account.slug}/").content.decode()
    limit(account, tasks_at_once=0)
    page = client.get(f"/a/{account.slug}/").content.decode()
    assert "Its limit of tasks at once is 0." in page
    assert "lets nothing be handed over" in page
