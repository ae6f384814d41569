"""Accounts' own API keys: ciphertext at rest, rotation, one in use."""

import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import credentials
from accounts.models import Account, Credential

SECRET = "sk-0123456789abcdef"


@pytest.fixture
def account(db):
    return Account.objects.create(name="Studio", slug="studio")


def save(account, secret=SECRET):
    return credentials.replace(account, secret=secret, workspace="", base_url="", alibaba_uid="1", by=None)


def test_the_key_is_nowhere_in_the_row_and_comes_back_whole(account):
    row = save(account)
    values = " ".join(str(value) for value in Credential.objects.values_list().get())
    assert SECRET not in values
    assert row.hint == "cdef"
    assert credentials.secret_of(row) == SECRET


def test_the_fingerprint_tells_the_same_key_from_another(account):
    row = save(account)
    assert credentials.is_same_key(row, SECRET)
    assert not credentials.is_same_key(row, SECRET + "0")


def test_a_new_key_retires_the_old_one(account):
    old, new = save(account), save(account, "sk-another")
    assert credentials.in_use(account.pk) == new
    old.refresh_from_db()
    assert old.retired_at
    assert credentials.secret_of(old) == SECRET
    credentials.retire(account, by=None)
    assert credentials.in_use(account.pk) is None


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_save_at_once_one_key_is_in_use(transactional_db):
    account = Account.objects.create(name="Studio", slug="studio")
    problems = []

    def save_one(number):
        try:
            save(account, f"sk-number-{number}")
        except Exception as problem:  # noqa: BLE001 -- shown by the assertion below
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=save_one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert Credential.objects.count() == 4
    assert Credential.objects.filter(retired_at=None).count() == 1


def test_rotation_writes_all_anew_and_the_old_key_may_go(account, settings, capsys):
    settings.CREDENTIAL_KEYS = ["old"]
    row = save(account)
    settings.CREDENTIAL_KEYS = ["new", "old"]
    call_command("rotate_credentials")
    assert "1 API key" in capsys.readouterr().out
    settings.CREDENTIAL_KEYS = ["new"]
    row.refresh_from_db()
    assert credentials.secret_of(row) == SECRET


def test_a_lost_key_is_said_clearly(account, settings):
    row = save(account)
    settings.CREDENTIAL_KEYS = ["lost"]
    with pytest.raises(credentials.UnreadableError):
        credentials.secret_of(row)
    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("rotate_credentials")
