"""The account's usage: what is left and held, by month, by member, by outcome; the ledger as CSV. For owners."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

from accounts.history import names_in
from accounts.ledger import month_of
from accounts.models import Account, LedgerEntry, UsageMonth
from accounts.permissions import Permission
from accounts.usage import by_member, estimated_cost, total_of, usage_of
from templategen import access
from templategen.credentials import credential_of
from templategen.models import ActionTemplate
from templategen.web.quota import bars_of
from templategen.web.spreadsheets import Cell, csv_answer

_MONTHS = 24
_AT_ONCE = 500
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
_REFERENCE = re.compile(r"template:([0-9a-f-]{36}):([0-9]+):")
HEAD = (
    "at", "month", "kind", "template", "template_address_id", "attempt", "templates_held", "templates_used",
    "templates_granted", "seconds_held", "seconds_used", "seconds_granted", "bytes_held", "bytes_used",
    "estimated_cost", "currency", "by", "reason", "reference",
)  # fmt: skip


@dataclass(frozen=True)
class MonthLine:
    """One month of the account. ``seconds`` rounded up; ``cost`` an estimate, None where no price is set."""

    month: date
    made: int
    seconds: int
    held: int
    granted: int
    granted_seconds: int
    cost: Decimal | None

    @property
    def key(self) -> str:
        """As in the address."""
        return f"{self.month:%Y-%m}"


@require_GET
@cache_control(private=True, no_cache=True)
def usage(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; ``month=2026-11`` chooses whose members and outcomes are shown."""
    account = access.account_for(request, slug, Permission.USAGE)
    now = usage_of(account.pk)
    chosen = _month(request) or now.month
    members = by_member(account.pk, chosen)
    total = total_of(members.values())
    context = {
        "account": account,
        "usage": now,
        "bars": bars_of(now),
        "months": _months(account, now.month),
        "chosen": chosen,
        "chosen_key": f"{chosen:%Y-%m}",
        "members": [(email, tally, -(-tally.ms // 1000), estimated_cost(tally.ms)) for email, tally in members.items()],
        "total": total,
        "total_seconds": -(-total.ms // 1000),
        "total_cost": estimated_cost(total.ms),
        "cost_held": estimated_cost(now.seconds.held * 1000),
        "own_key": credential_of(account.pk) is not None,
        "price": settings.PRICE_PER_SECOND,
        "currency": settings.PRICE_CURRENCY,
        "price_date": settings.PRICE_DATE,
        "time_zone": settings.BILLING_TIME_ZONE,
    }
    return render(request, "web/usage.html", context)


def _months(account: Account, present: date) -> list[MonthLine]:
    """The newest first; the present one also where nothing was done in it."""
    rows = list(UsageMonth.objects.filter(account=account).order_by("-month")[:_MONTHS])
    if not any(row.month == present for row in rows):
        # A month that has not begun is there after a clock was ahead.
        rows = sorted([UsageMonth(account=account, month=present), *rows], key=lambda row: row.month, reverse=True)
    return [
        MonthLine(
            row.month,
            row.templates_used,
            -(-row.ms_used // 1000),
            row.templates_held,
            row.templates_granted,
            row.ms_granted // 1000,
            estimated_cost(row.ms_used),
        )
        for row in rows
    ]


def _month(request: HttpRequest) -> date | None:
    """The month that the address names; None for none, or for nonsense."""
    found = _MONTH.fullmatch(request.GET.get("month", ""))
    return date(int(found[1]), int(found[2]), 1) if found else None


@require_GET
def ledger_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Every line of the account's ledger, or of one month (``month=2026-11``, without storage), oldest first."""
    account = access.account_for(request, slug, Permission.USAGE)
    month = _month(request)
    name = f"usage-{account.slug}-{f'{month:%Y-%m}' if month else f'{month_of(timezone.now()):%Y-%m}-all'}.csv"
    return csv_answer(name, HEAD, _rows(account, month))


def _rows(account: Account, month: date | None) -> Iterator[list[Cell]]:
    """In pages by primary key: no cursor stays open while somebody downloads slowly."""
    entries = LedgerEntry.objects.filter(account=account).select_related("by").order_by("pk")
    if month is not None:
        entries = entries.filter(month=month)
    last, name_of = 0, names_in(account.pk)
    while page := list(entries.filter(pk__gt=last)[:_AT_ONCE]):
        last = page[-1].pk
        names = _names(account, page)
        yield from (_row(entry, names, name_of(entry.by)) for entry in page)


def _names(account: Account, page: list[LedgerEntry]) -> dict[str, str]:
    """Address ID → present name, of those that are not removed for good."""
    wanted = {UUID(found[1]) for entry in page if (found := _REFERENCE.match(entry.reference))}
    rows = ActionTemplate.objects.of(account).filter(public_id__in=wanted)
    return {str(public_id): name for public_id, name in rows.values_list("public_id", "name")}


def _row(entry: LedgerEntry, names: dict[str, str], by: str) -> list[Cell]:
    found = _REFERENCE.match(entry.reference)
    cost = estimated_cost(entry.ms_used) if entry.ms_used else None
    return [
        entry.at.isoformat(),
        f"{entry.month:%Y-%m}" if entry.month else "",
        entry.kind,
        names.get(found[1], "") if found else "",
        found[1] if found else "",
        int(found[2]) if found else None,
        entry.templates_held,
        entry.templates_used,
        entry.templates_granted,
        _seconds(entry.ms_held),
        _seconds(entry.ms_used),
        _seconds(entry.ms_granted),
        entry.bytes_held,
        entry.bytes_used,
        cost,
        settings.PRICE_CURRENCY if cost is not None else "",
        by,
        entry.reason,
        entry.reference,
    ]


def _seconds(milliseconds: int) -> Cell:
    """A number, so that its own minus is taken for no formula."""
    return Decimal(milliseconds) / 1000
