"""Which accounts have come near a limit, or to it, and whose owners have not been told so this month."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import BigIntegerField, Expression, F, FilteredRelation, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce

from accounts.ledger import Limits, effective, month_of
from accounts.models import Account, Quota, Role, StorageUse, UsageMonth, User
from accounts.usage import Usage, meters

# Percent of a limit, held and used together.
NEAR, FULL = 80, 100


@dataclass(frozen=True)
class Crossed:
    """An account whose fullest meter has passed ``percent`` (NEAR or FULL) for the first time in this month."""

    account_id: int
    percent: int


def threshold_of(usage: Usage) -> int:
    """FULL, NEAR, or 0. A limit of 0 is no news to anybody."""
    passed = [meter.percent or 0 for meter in usage.all_meters if meter.limit]
    fullest = max(passed, default=0)
    return FULL if fullest >= FULL else NEAR if fullest >= NEAR else 0


def crossed(*, now: datetime) -> list[Crossed]:
    """Accounts to tell of, until ``claim`` was asked for them. Three queries."""
    rows = ((row, threshold_of(usage)) for row, usage in _usages(now))
    return [Crossed(row.account_id, percent) for row, percent in rows if percent > row.told_percent]


def claim(account_id: int, percent: int, *, now: datetime) -> bool:
    """Whether it is the caller who tells of it: once a month."""
    month, _made = UsageMonth.objects.get_or_create(account_id=account_id, month=month_of(now))
    return bool(UsageMonth.objects.filter(pk=month.pk, told_percent__lt=percent).update(told_percent=percent))


def not_told(account_id: int, percent: int, *, now: datetime) -> None:
    """Nobody could be told: somebody tries again."""
    rows = UsageMonth.objects.filter(account=account_id, month=month_of(now), told_percent=percent)
    rows.update(told_percent=NEAR if percent > NEAR else 0)


def _usages(now: datetime) -> Iterator[tuple[UsageMonth, Usage]]:
    """Of accounts that have a limit and use something. A month's row that is not there yet is an empty one."""
    month = month_of(now)
    own = {quota.account_id: quota for quota in Quota.objects.all()}
    site = effective(Quota())
    # Without a limit of the site's only accounts with limits of their own count.
    asked = {} if _has_limit(site) else {"account__in": own}
    stored = {row.account_id: row for row in StorageUse.objects.filter(**asked)}
    months = {row.account_id: row for row in UsageMonth.objects.filter(month=month, **asked)}
    for account_id in sorted(stored.keys() | months.keys()):
        row = months.get(account_id) or UsageMonth(account_id=account_id, month=month)
        limits = effective(own[account_id]) if account_id in own else site
        yield row, meters(row, stored.get(account_id) or StorageUse(), limits, month=month)


def _has_limit(site: Limits) -> bool:
    return any(limit is not None for limit in (site.templates, site.seconds, site.storage_bytes))


def at_least(accounts: QuerySet[Account], percent: int, *, now: datetime) -> QuerySet[Account]:
    """Those of the accounts that have used ``percent`` of a limit, as ``threshold_of`` counts it: one query."""
    month = FilteredRelation("months", condition=Q(months__month=month_of(now)))
    meters_in_sql = {
        "templates": (
            _number("month__templates_held") + _number("month__templates_used"),
            _limit("quota__templates_per_month", settings.QUOTA_TEMPLATES_PER_MONTH)
            + _number("month__templates_granted"),
        ),
        "seconds": (
            # Up to whole seconds, each for itself, as usage.meters does.
            (_number("month__ms_held") + 999) / 1000 + (_number("month__ms_used") + 999) / 1000,
            _limit("quota__seconds_per_month", settings.QUOTA_SECONDS_PER_MONTH) + _number("month__ms_granted") / 1000,
        ),
        "storage": (
            _number("storage__bytes_held") + _number("storage__bytes_used"),
            _limit("quota__storage_bytes", settings.QUOTA_STORAGE_BYTES),
        ),
    }
    passed = Q()
    found = accounts.alias(month=month)
    for name, (used, limit) in meters_in_sql.items():
        found = found.alias(**{f"{name}_hundred": used * 100, f"{name}_limit": limit})
        passed |= Q(**{f"{name}_limit__gt": 0, f"{name}_hundred__gte": F(f"{name}_limit") * percent})
    return found.filter(passed)


def _number(name: str) -> Coalesce:
    """A counter whose row may not be there yet."""
    return Coalesce(F(name), Value(0), output_field=BigIntegerField())


def _limit(name: str, default: int | None) -> Expression:
    """The account's own limit, else the site's, else null."""
    own = Cast(F(name), BigIntegerField())
    return own if default is None else Coalesce(own, Value(default), output_field=BigIntegerField())


def owners_of(account_id: int) -> QuerySet[User]:
    """Who is to be told: the account's owners who can sign in."""
    return User.objects.filter(is_active=True, memberships__account=account_id, memberships__role=Role.OWNER)
