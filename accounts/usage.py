"""What an account has used and what is left; and the check that counters are the sum of their entries."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

from accounts.history import names_in
from accounts.ledger import MONTHLY, Limits, limits_of, month_after, month_of
from accounts.models import LedgerEntry, StorageUse, UsageMonth, User

_STORED = ("bytes_held", "bytes_used")
# Outcomes of released attempts (ledger.release), and counts of Tally.
_ENDS = frozenset({"failed", "canceled", "lost", "given_up"})


@dataclass(frozen=True)
class Meter:
    """One thing that is counted. ``limit`` with the month's grants; None: no limit."""

    held: int
    used: int
    limit: int | None

    @property
    def left(self) -> int | None:
        """How much more there is; None where there is no limit."""
        return None if self.limit is None else max(self.limit - self.held - self.used, 0)

    @property
    def percent(self) -> int | None:
        """Held and used of the limit, whole percents rounded down, may be over 100; None where there is no limit."""
        if self.limit is None:
            return None
        return 100 if self.limit == 0 else (self.held + self.used) * 100 // self.limit


@dataclass(frozen=True)
class Usage:
    """An account's meters now. ``seconds`` in whole seconds (held and used rounded up), ``storage`` in bytes."""

    month: date
    resets_on: date
    templates: Meter
    seconds: Meter
    storage: Meter
    tasks_at_once: int | None

    @property
    def all_meters(self) -> tuple[Meter, Meter, Meter]:
        """Templates, seconds, stored bytes."""
        return self.templates, self.seconds, self.storage

    @property
    def fullest(self) -> int:
        """The highest percentage of all meters; 0 where nothing is limited."""
        return max(meter.percent or 0 for meter in self.all_meters)


def usage_of(account_id: int, *, now: datetime | None = None) -> Usage:
    """What the account has used in the present month, in four queries at most."""
    limits = limits_of(account_id)
    month = month_of(now or timezone.now())
    row = UsageMonth.objects.filter(account=account_id, month=month).first() or UsageMonth()
    stored = StorageUse.objects.filter(account=account_id).first() or StorageUse()
    return meters(row, stored, limits, month=month)


def meters(row: UsageMonth, stored: StorageUse, limits: Limits, *, month: date) -> Usage:
    """The same from rows that are there already: for lists of accounts."""
    return Usage(
        month=month,
        resets_on=month_after(month),
        templates=Meter(row.templates_held, row.templates_used, _plus(limits.templates, row.templates_granted)),
        seconds=Meter(-(-row.ms_held // 1000), -(-row.ms_used // 1000), _plus(limits.seconds, row.ms_granted // 1000)),
        storage=Meter(stored.bytes_held, stored.bytes_used, limits.storage_bytes),
        tasks_at_once=limits.tasks_at_once,
    )


def estimated_cost(milliseconds: int) -> Decimal | None:
    """What so much video may cost, in PRICE_CURRENCY: an estimate, never a bill. None where no price is set."""
    try:
        return (Decimal(settings.PRICE_PER_SECOND) * milliseconds / 1000).quantize(Decimal("0.01"))
    except InvalidOperation:
        return None


@dataclass
class Tally:
    """What became of the attempts begun in one month: numbers of attempts, and billed milliseconds."""

    begun: int = 0
    made: int = 0
    ms: int = 0
    failed: int = 0
    canceled: int = 0
    lost: int = 0
    # Sent again or given up by a person, without it being known whether it was made.
    given_up: int = 0

    @property
    def open(self) -> int:
        """Waiting or being made."""
        return max(self.begun - self.made - self.failed - self.canceled - self.lost - self.given_up, 0)


def by_member(account_id: int, month: date) -> dict[str, Tally]:
    """Name (empty: somebody who is gone, or nobody) → what came of their attempts; most begun first.

    From the ledger alone, so that what was deleted since counts too. Two queries.
    """
    kinds = [LedgerEntry.Kind.HOLD, LedgerEntry.Kind.SETTLE, LedgerEntry.Kind.RELEASE]
    groups = (
        LedgerEntry.objects.filter(account=account_id, month=month, kind__in=kinds)
        .order_by()
        .values_list("by", "by__email", "kind", "reason")
        .annotate(count=Count("pk"), ms=Sum("ms_used"))
    )
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    name_of = names_in(account_id)
    for pk, email, kind, outcome, count, ms in groups:
        _count(tallies[name_of(User(pk=pk, email=email)) if pk else ""], kind, outcome, count, ms)
    return dict(sorted(tallies.items(), key=lambda item: (-item[1].begun, item[0])))


def total_of(tallies: Iterable[Tally]) -> Tally:
    """All of them together: by outcome."""
    total = Tally()
    for tally in tallies:
        for name in vars(total):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    return total


def _count(tally: Tally, kind: str, outcome: str, count: int, ms: int) -> None:
    if kind == LedgerEntry.Kind.HOLD:
        tally.begun += count
    elif kind == LedgerEntry.Kind.SETTLE:
        tally.made += count
        tally.ms += ms
        if outcome in _ENDS:
            # Believed lost before, and found again.
            setattr(tally, outcome, getattr(tally, outcome) - count)
    elif outcome in _ENDS:
        setattr(tally, outcome, getattr(tally, outcome) + count)


@dataclass(frozen=True)
class Difference:
    """A counter that is not the sum of its entries."""

    account_id: int
    month: date | None
    column: str
    counter: int
    entries: int


def rebuild(*, check: bool) -> list[Difference]:
    """Compare every counter with its entries; unless ``check``, mend the counters. What was different."""
    found: list[Difference] = []
    # A transaction for each counter: nobody's move waits for the whole.
    for account_id, month in sorted(_months()):
        with transaction.atomic():
            found += _rebuild_month(account_id, month, mend=not check)
    for account_id in sorted(_stores()):
        with transaction.atomic():
            found += _rebuild_storage(account_id, mend=not check)
    return found


def rebuild_account(account_id: int) -> list[Difference]:
    """The same for one account, mended. What was different."""
    found: list[Difference] = []
    entries = LedgerEntry.objects.filter(account=account_id, month__isnull=False).order_by()
    months = {month for month in entries.values_list("month", flat=True).distinct() if month}
    months |= set(UsageMonth.objects.filter(account=account_id).values_list("month", flat=True))
    for month in sorted(months):
        with transaction.atomic():
            found += _rebuild_month(account_id, month, mend=True)
    with transaction.atomic():
        return found + _rebuild_storage(account_id, mend=True)


def _months() -> set[tuple[int, date]]:
    entries = LedgerEntry.objects.filter(month__isnull=False).order_by().values_list("account_id", "month").distinct()
    return {(account, month) for account, month in entries if month} | set(
        UsageMonth.objects.values_list("account_id", "month")
    )


def _stores() -> set[int]:
    entries = LedgerEntry.objects.filter(month=None).order_by().values_list("account_id", flat=True).distinct()
    return set(entries) | set(StorageUse.objects.values_list("account_id", flat=True))


def _rebuild_month(account_id: int, month: date, *, mend: bool) -> list[Difference]:
    if mend:
        UsageMonth.objects.get_or_create(account_id=account_id, month=month)
    row = UsageMonth.objects.select_for_update().filter(account_id=account_id, month=month).first() or UsageMonth()
    sums = LedgerEntry.objects.filter(account_id=account_id, month=month).aggregate(**_sums(MONTHLY))
    wrong = _differences(row, sums, MONTHLY, account_id=account_id, month=month)
    if wrong and mend:
        UsageMonth.objects.filter(pk=row.pk).update(**{one.column: one.entries for one in wrong})
    return wrong


def _rebuild_storage(account_id: int, *, mend: bool) -> list[Difference]:
    # Where nothing was ever stored no row is made: an account that has none can still be deleted.
    if mend and LedgerEntry.objects.filter(account_id=account_id, month=None).exists():
        StorageUse.objects.get_or_create(account_id=account_id)
    row = StorageUse.objects.select_for_update().filter(account_id=account_id).first() or StorageUse()
    sums = LedgerEntry.objects.filter(account_id=account_id, month=None).aggregate(**_sums(_STORED))
    wrong = _differences(row, sums, _STORED, account_id=account_id, month=None)
    if wrong and mend:
        StorageUse.objects.filter(pk=row.pk).update(**{one.column: one.entries for one in wrong})
    return wrong


def _sums(columns: tuple[str, ...]) -> dict[str, Sum]:
    return {f"sum_{column}": Sum(column, default=0) for column in columns}


def _differences(
    row: UsageMonth | StorageUse, sums: dict[str, int], columns: tuple[str, ...], *, account_id: int, month: date | None
) -> list[Difference]:
    return [
        Difference(account_id, month, column, getattr(row, column), sums[f"sum_{column}"])
        for column in columns
        if getattr(row, column) != sums[f"sum_{column}"]
    ]


def _plus(limit: int | None, granted: int) -> int | None:
    return None if limit is None else limit + granted
