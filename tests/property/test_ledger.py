"""The ledger under any sequence of holds, settlements, releases, grants, duplicates and month ends."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from unittest import mock

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts import ledger
from accounts.ledger import OverLimitError
from accounts.models import Account, Quota, StorageUse, UsageMonth
from accounts.usage import rebuild
from tests.property.savepoint import Savepoint
from tests.property.search import SEARCH

REFERENCES = st.integers(0, 7)
LENGTHS = st.integers(0, 9000)
SIZES = st.integers(0, 60)
LIMITS = st.none() | st.integers(0, 5)
_numbers = count()


@dataclass
class Held:
    """What the model knows of one reference."""

    month: object
    ms: int
    ended: str = ""


class Ledger(RuleBasedStateMachine):
    """Against a model of dicts and sums."""

    def __init__(self):
        super().__init__()
        self.savepoint = Savepoint()
        number = next(_numbers)
        self.account = Account.objects.create(name="Studio", slug=f"property-{number}")
        self.quota = Quota.objects.create(
            account=self.account, templates_per_month=3, seconds_per_month=15, storage_bytes=100
        )
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.clock = mock.patch("accounts.ledger.timezone.now", side_effect=lambda: self.now)
        self.clock.start()
        self.held, self.sums, self.bytes = {}, {}, {}

    def teardown(self):
        self.clock.stop()
        assert not rebuild(check=True)
        self.savepoint.undo()

    def reference(self, number):
        return f"template:{self.account.slug}-{number}:1"

    def sum(self, month):
        names = ("templates_held", "templates_used", "templates_granted", "ms_held", "ms_used", "ms_granted")
        return self.sums.setdefault(month, dict.fromkeys(names, 0))

    def add(self, month, **more):
        for name, value in more.items():
            self.sum(month)[name] += value

    def fits(self, month, ms):
        total, quota = self.sum(month), self.quota
        pairs = (("templates", 1, quota.templates_per_month, 1), ("ms", ms, quota.seconds_per_month, 1000))
        return all(
            limit is None
            or total[f"{name}_held"] + total[f"{name}_used"] + wanted <= limit * unit + total[f"{name}_granted"]
            for name, wanted, limit, unit in pairs
        )

    @rule(number=REFERENCES, ms=LENGTHS)
    def hold(self, number, ms):
        month = ledger.month_of(self.now)
        known, fits = number in self.held, self.fits(month, ms)
        try:
            ledger.hold(self.account.pk, self.reference(number), milliseconds=ms)
        except OverLimitError:
            assert not known
            assert not fits
            return
        if known:
            return
        assert fits
        self.held[number] = Held(month, ms)
        self.add(month, templates_held=1, ms_held=ms)

    @rule(number=REFERENCES, ms=LENGTHS)
    def settle(self, number, ms):
        ledger.settle(self.account.pk, self.reference(number), milliseconds=ms)
        held = self.held.setdefault(number, Held(ledger.month_of(self.now), 0, "never held"))
        if held.ended == "settled":
            return
        if not held.ended:
            self.add(held.month, templates_held=-1, ms_held=-held.ms)
        self.add(held.month, templates_used=1, ms_used=ms)
        held.ended = "settled"

    @rule(number=REFERENCES)
    def release(self, number):
        ledger.release(self.account.pk, self.reference(number), outcome="failed")
        held = self.held.get(number)
        if held is None or held.ended:
            return
        self.add(held.month, templates_held=-1, ms_held=-held.ms)
        held.ended = "released"

    @rule(templates=st.integers(0, 2), ms=LENGTHS, twice=st.booleans())
    def grant(self, templates, ms, twice):
        if not templates and not ms:
            with pytest.raises(ValueError, match="adds something"):
                ledger.grant(self.account.pk, "0", templates=0, milliseconds=0, by=None, reason="x")
            return
        reference = f"{self.account.slug}-{next(_numbers)}"
        for _ in range(1 + twice):
            ledger.grant(self.account.pk, reference, templates=templates, milliseconds=ms, by=None, reason="x")
        self.add(ledger.month_of(self.now), templates_granted=templates, ms_granted=ms)

    @rule(templates=LIMITS, seconds=LIMITS)
    def change_limits(self, templates, seconds):
        self.quota.templates_per_month = templates
        self.quota.seconds_per_month = seconds and seconds * 5
        self.quota.save()

    @rule()
    def month_ends(self):
        self.now += timedelta(days=31)

    @rule(number=REFERENCES, size=SIZES, how=st.sampled_from(["hold_bytes", "settle_bytes", "release_bytes"]))
    def storage(self, number, size, how):
        reference = f"clip:{self.account.slug}-{number}"
        done = self.bytes.get(number, (0, 0, ""))[2]
        total = sum(held + used for held, used, _done in self.bytes.values())
        if how == "hold_bytes":
            try:
                ledger.hold_bytes(self.account.pk, reference, size=size)
            except OverLimitError:
                assert total + size > 100
            else:
                if number not in self.bytes:
                    assert total + size <= 100
                    self.bytes[number] = (size, 0, "held")
        elif how == "settle_bytes":
            ledger.settle_bytes(self.account.pk, reference, size=size)
            if done not in {"settled", "released"}:
                self.bytes[number] = (0, size, "settled")
        else:
            ledger.release_bytes(self.account.pk, reference)
            if number in self.bytes:
                self.bytes[number] = (0, 0, "released")

    @invariant()
    def counters_are_what_the_model_says(self):
        for row in UsageMonth.objects.filter(account=self.account):
            assert {name: getattr(row, name) for name in self.sum(row.month)} == self.sum(row.month)
        stored = StorageUse.objects.filter(account=self.account).first() or StorageUse()
        assert stored.bytes_held == sum(held for held, _used, _done in self.bytes.values())
        assert stored.bytes_used == sum(used for _held, used, _done in self.bytes.values())


@pytest.mark.django_db
@pytest.mark.timeout(600)
def test_the_ledger_does_what_a_model_does():
    run_state_machine_as_test(Ledger, settings=SEARCH)
