"""The mail to an account's owners when its own Alibaba key is paused."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.utils import timezone

from accounts import credentials
from accounts.models import Role
from templategen import credential_status, sweep
from tests.people import account_of, make_person

LATER = timedelta(minutes=3)


@pytest.fixture
def account(owner):
    make_person("viewer@example.com", "studio").memberships.update(role=Role.VIEWER)
    return account_of(owner)


@pytest.fixture
def key(account):
    return credentials.replace(account, secret="sk-own-0123456789", workspace="", base_url="", alibaba_uid="", by=None)


@pytest.fixture
def told(product):
    """What was mailed by a sweep and the queue, so long from now."""

    def tell(after=LATER):
        cache.clear()
        sweep.once(now=timezone.now() + after)
        product.run_jobs()
        sent, mail.outbox = mail.outbox, []
        return sent

    return tell


def test_owners_are_told_once_for_each_pause_with_what_is_wrong(told, key):
    credential_status.pause(key.pk, code="Arrearage", message="sk-own-0123456789 is overdue")
    assert told(timedelta(seconds=30)) == []
    [one] = told()
    assert one.to == ["owner@example.com"]
    assert one.subject == "Studio: the Alibaba API key is paused"
    assert "which ends with 6789" in one.body
    assert "A bill is open at Alibaba." in one.body
    assert "/a/studio/credential/" in one.body
    assert "sk-own" not in one.body
    credential_status.pause(key.pk, code="Arrearage", message="")
    assert told() == []
    credential_status.resume(key.pk)
    assert told() == []
    credential_status.pause(key.pk, code="InvalidApiKey", message="")
    assert "InvalidApiKey" in told()[0].body


def test_nobody_is_told_of_the_sites_key_or_of_one_that_is_gone(told, account, key):
    credential_status.pause(None, code="Arrearage", message="")
    assert told() == []
    credential_status.pause(key.pk, code="Arrearage", message="")
    credentials.retire(account, by=None)
    assert told() == []


def test_a_mail_that_could_not_be_sent_is_sent_later(told, key, monkeypatch):
    credential_status.pause(key.pk, code="Arrearage", message="")
    monkeypatch.setattr("templategen.owner_mails.send_mail", lambda *_args: 1 / 0)
    with suppress(ZeroDivisionError):
        told()
    monkeypatch.undo()
    assert [message.to for message in told()] == [["owner@example.com"]]
    assert told() == []
