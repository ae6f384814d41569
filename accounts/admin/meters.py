"""An account's meters as bars."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _

from accounts.thresholds import FULL, NEAR
from accounts.usage import Meter, Usage


@dataclass(frozen=True)
class Bar:
    """A meter in words. ``tone`` is calm, warn (from 80 %) or bad (from 100 %)."""

    label: str
    text: str
    percent: int | None
    tone: str

    @property
    def filled(self) -> int:
        """How much of the bar is filled, 0 to 100."""
        return min(self.percent or 0, 100)


def bars_of(usage: Usage) -> list[Bar]:
    """Templates, seconds, storage."""
    return [
        _bar(_("Templates this month"), usage.templates, _number),
        _bar(_("Seconds of video this month"), usage.seconds, _number),
        _bar(_("Storage"), usage.storage, _gigabytes),
    ]


def cell(bar: Bar) -> str:
    """For a column of a list."""
    if bar.percent is None:
        return format_html('<span class="usage-words">{}</span>', bar.text)
    return format_html(
        '<progress class="usage usage-{}" max="100" value="{}" aria-label="{}"></progress>'
        ' <span class="usage-words">{}</span>',
        bar.tone, bar.filled, bar.label, bar.text,
    )  # fmt: skip


def _bar(label: str, meter: Meter, told: Callable[[int], str]) -> Bar:
    spent = told(meter.held + meter.used)
    if meter.limit is None:
        return Bar(label, _("%(spent)s, no limit") % {"spent": spent}, None, "calm")
    percent = meter.percent or 0
    # A limit of 0 is no news to anybody.
    tone = "calm" if not meter.limit or percent < NEAR else "warn" if percent < FULL else "bad"
    return Bar(label, _("%(spent)s of %(limit)s") % {"spent": spent, "limit": told(meter.limit)}, percent, tone)


def _number(value: int) -> str:
    return number_format(value, decimal_pos=0, force_grouping=True)


def _gigabytes(size: int) -> str:
    return _("%(size)s GB") % {"size": number_format(size / 1_000_000_000, 1)}
