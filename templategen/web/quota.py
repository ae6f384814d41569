"""An account's quota in words: the notice near and at a limit, and the bars of the usage page."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from accounts.models import Account, Membership
from accounts.permissions import Permission, may
from accounts.sizes import left_in_words, size_in_words
from accounts.thresholds import FULL, NEAR, threshold_of
from accounts.usage import Meter, Usage, usage_of


@dataclass(frozen=True)
class Bar:
    """A meter in words. ``tone`` is calm, warn (from 80 %) or bad (from 100 %)."""

    label: str
    percent: int | None
    used: str
    held: str
    left: str
    limit: str
    tone: str

    @property
    def filled(self) -> int:
        """How much of the bar is filled, 0 to 100."""
        return min(self.percent or 0, 100)


@dataclass(frozen=True)
class Notice:
    """Near a limit, or at it: for all members."""

    is_full: bool
    bars: tuple[Bar, ...]

    @property
    def mark(self) -> str:
        """What a page shows of it, in short: it changes with every word of the notice."""
        return f"{crc32(repr(self).encode()):08x}"


def bars_of(usage: Usage) -> list[Bar]:
    """Templates, seconds, storage."""
    storage = _bar(_("Storage"), usage.storage, size_in_words)
    if usage.storage.limit is not None:
        storage = replace(storage, left=left_in_words(usage.storage.limit, usage.storage.used, usage.storage.held))
    return [
        _bar(_("Templates this month"), usage.templates, _number),
        _bar(_("Seconds of video this month"), usage.seconds, _number),
        storage,
    ]


def _bar(label: str, meter: Meter, told: Callable[[int], str]) -> Bar:
    percent = meter.percent
    tone = "bad" if (percent or 0) >= FULL else "warn" if (percent or 0) >= NEAR else "calm"
    return Bar(
        label,
        percent,
        used=told(meter.used),
        held=told(meter.held) if meter.held else "",
        left=told(meter.left) if meter.left is not None else "",
        limit=told(meter.limit) if meter.limit is not None else "",
        tone=tone,
    )


def _number(value: int) -> str:
    return number_format(value, decimal_pos=0, force_grouping=True)


def membership_of(request: HttpRequest, account: Account) -> Membership | None:
    """The user's place in the account, with the account as it was read already."""
    found = Membership.objects.filter(user=request.user.pk, account=account).first()
    if found is not None:
        found.account = account
    return found


def quota_context(request: HttpRequest, account: Account) -> dict[str, Any]:
    """What the notice needs. Four queries."""
    usage = usage_of(account.pk)
    threshold = threshold_of(usage)
    full = tuple(bar for bar in bars_of(usage) if bar.tone != "calm")
    membership = membership_of(request, account)
    return {
        "quota": Notice(threshold == FULL, full) if threshold else None,
        "resets_on": usage.resets_on,
        "sees_usage": membership is not None and may(membership, Permission.USAGE),
    }
