"""The verdict itself: a ledger that is not even is told as such."""

import pytest
from django.db import connection

from accounts import ledger
from accounts.models import Account, LedgerEntry, Quota, StorageUse, UsageMonth
from templategen import actions
from templategen.models import ActionTemplate
from templategen.states import State
from tests.chaos.rows import Database, sqlite_url
from tests.chaos.verdict import ledger_is_even, uneven
from tests.factories import make_template
from tests.people import account_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database(owner):
    if connection.vendor != "sqlite":
        pytest.skip("reads the test's SQLite file from outside")
    account = account_of(owner)
    Quota.objects.create(account=account, templates_per_month=5)
    template = make_template(account, State.FAILED)
    ledger.settle_bytes(account.pk, ledger.clip_reference(template.clip.object_key), size=template.clip.size_bytes)
    actions.retry(template, by=owner)
    return Database(sqlite_url(connection.settings_dict["NAME"]))


def test_an_even_ledger_is_even(database):
    assert uneven(database) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: UsageMonth.objects.update(templates_held=2),
        lambda: UsageMonth.objects.update(ms_held=0),
        lambda: StorageUse.objects.update(bytes_used=1),
        lambda: LedgerEntry.objects.all().delete(),
        lambda: Quota.objects.update(templates_per_month=0),
        lambda: ActionTemplate.objects.update(state=State.CANCELED),
        lambda: ledger.hold_bytes(Account.objects.get().pk, "clip:nobody's", size=5),
    ],
)
def test_what_is_not_even_is_found(database, spoil):
    spoil()
    assert not ledger_is_even(database)
