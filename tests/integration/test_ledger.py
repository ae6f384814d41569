"""Quota: held, settled, released, granted; counters are the sum of their entries."""

import threading

import pytest
from django.db import connections

from accounts import ledger
from accounts.ledger import OverLimitError, What
from accounts.models import Account, LedgerEntry, Quota, UsageMonth
from accounts.usage import rebuild, usage_of


@pytest.fixture
def account(db):
    account = Account.objects.create(name="Studio", slug="studio")
    Quota.objects.create(account=account, templates_per_month=3, seconds_per_month=20, storage_bytes=100)
    return account


def meters(account):
    usage = usage_of(account.pk)
    return (usage.templates.held, usage.templates.used, usage.seconds.held, usage.seconds.used)


def test_what_is_held_becomes_used_at_the_billed_length(account):
    ledger.hold(account.pk, "template:a:1", milliseconds=5000)
    assert meters(account) == (1, 0, 5, 0)
    ledger.settle(account.pk, "template:a:1", milliseconds=4200)
    assert meters(account) == (0, 1, 0, 5)
    assert not rebuild(check=True)


def test_what_failed_is_free_again(account):
    ledger.hold(account.pk, "template:a:1", milliseconds=5000)
    ledger.release(account.pk, "template:a:1")
    assert meters(account) == (0, 0, 0, 0)


@pytest.mark.parametrize("step", ["hold", "settle", "release"])
def test_the_same_step_twice_changes_nothing(account, step):
    for _ in range(2):
        ledger.hold(account.pk, "template:a:1", milliseconds=5000)
    before = meters(account)
    if step != "hold":
        extra = {"milliseconds": 5000} if step == "settle" else {}
        getattr(ledger, step)(account.pk, "template:a:1", **extra)
        before = meters(account)
        getattr(ledger, step)(account.pk, "template:a:1", **extra)
    assert meters(account) == before
    assert not rebuild(check=True)


def test_what_was_lost_and_came_back_is_used_and_held_no_more(account):
    ledger.hold(account.pk, "template:a:1", milliseconds=5000)
    ledger.release(account.pk, "template:a:1")
    ledger.settle(account.pk, "template:a:1", milliseconds=5000)
    assert meters(account) == (0, 1, 0, 5)
    assert not rebuild(check=True)


def test_nothing_goes_over_the_limit(account):
    for name in "abc":
        ledger.hold(account.pk, f"template:{name}:1", milliseconds=1000)
    with pytest.raises(OverLimitError) as caught:
        ledger.hold(account.pk, "template:d:1", milliseconds=1000)
    assert (caught.value.what, caught.value.limit) == (What.TEMPLATES, 3)
    assert meters(account) == (3, 0, 3, 0)


def test_seconds_run_out_too(account):
    ledger.hold(account.pk, "template:a:1", milliseconds=15_000)
    with pytest.raises(OverLimitError) as caught:
        ledger.hold(account.pk, "template:b:1", milliseconds=5001)
    assert (caught.value.what, caught.value.limit) == (What.SECONDS, 20)
    ledger.hold(account.pk, "template:b:1", milliseconds=5000)


def test_a_grant_makes_room_this_month(account, owner):
    for name in "abc":
        ledger.hold(account.pk, f"template:{name}:1", milliseconds=1000)
    ledger.grant(account.pk, "1", templates=1, milliseconds=0, by=owner, reason="a gift")
    ledger.hold(account.pk, "template:d:1", milliseconds=1000)
    assert usage_of(account.pk).templates.limit == 4
    assert LedgerEntry.objects.get(kind="grant").by == owner


def test_none_is_none_and_blank_is_the_sites_default(account, settings):
    Quota.objects.update(templates_per_month=0)
    with pytest.raises(OverLimitError):
        ledger.hold(account.pk, "template:a:1", milliseconds=1)
    Quota.objects.update(templates_per_month=None)
    settings.QUOTA_TEMPLATES_PER_MONTH = 1
    ledger.hold(account.pk, "template:a:1", milliseconds=1)
    with pytest.raises(OverLimitError):
        ledger.hold(account.pk, "template:b:1", milliseconds=1)


def test_bytes_are_held_settled_and_released(account):
    ledger.hold_bytes(account.pk, "clip:a", size=60)
    with pytest.raises(OverLimitError) as caught:
        ledger.hold_bytes(account.pk, "clip:b", size=41)
    assert caught.value.what == What.STORAGE
    ledger.settle_bytes(account.pk, "clip:a", size=60)
    assert usage_of(account.pk).storage.used == 60
    for _ in range(2):
        ledger.release_bytes(account.pk, "clip:a")
    assert usage_of(account.pk).storage.used == usage_of(account.pk).storage.held == 0
    ledger.hold_bytes(account.pk, "clip:b", size=41)
    ledger.release_bytes(account.pk, "clip:b")
    assert not rebuild(check=True)


def test_a_wrong_counter_is_found_and_mended(account):
    ledger.hold(account.pk, "template:a:1", milliseconds=5000)
    UsageMonth.objects.update(templates_held=2)
    assert [(one.column, one.counter, one.entries) for one in rebuild(check=True)] == [("templates_held", 2, 1)]
    UsageMonth.objects.all().delete()
    assert [(one.column, one.counter, one.entries) for one in rebuild(check=True) if one.entries == 1]
    assert not UsageMonth.objects.exists()
    rebuild(check=False)
    assert not rebuild(check=True)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_win_than_there_is_room_for(account):
    won, refused = [], []

    def take(number):
        try:
            ledger.hold(account.pk, f"template:{number}:1", milliseconds=10)
            won.append(number)
        except OverLimitError:
            refused.append(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (3, 47)
    assert meters(account)[:2] == (3, 0)
    assert not rebuild(check=True)


@pytest.mark.parametrize("step", ["settle", "release"])
def test_counters_that_were_spoiled_keep_no_result_from_being_booked(account, step):
    for name in ("a", "b"):
        ledger.hold(account.pk, f"template:{name}:1", milliseconds=5000)
    UsageMonth.objects.update(templates_held=0, ms_held=0)
    extra = {"milliseconds": 4000} if step == "settle" else {}
    getattr(ledger, step)(account.pk, "template:a:1", **extra)
    assert meters(account) == ((1, 1, 5, 4) if step == "settle" else (1, 0, 5, 0))
    assert not rebuild(check=True)
