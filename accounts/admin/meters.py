"""An account's meters as bars."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _

from accounts.models import LedgerEntry
from accounts.sizes import size_in_words
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
        _bar(_("Storage"), usage.storage, size_in_words),
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


@dataclass(frozen=True)
class Line:
    """A ledger entry and what it does to the counters, in words."""

    entry: LedgerEntry

    @property
    def reason(self) -> str:
        """A grant's, as it was given; of others what became of the attempt."""
        outcomes = {
            "failed": _("Failed"),
            "canceled": _("Canceled"),
            "lost": _("Lost"),
            "given_up": _("Given up"),
        }
        written = self.entry.reason
        return written if self.entry.kind == LedgerEntry.Kind.GRANT else outcomes.get(written, written)

    @property
    def templates(self) -> str:
        """The month's."""
        return _changes(self.entry.templates_held, self.entry.templates_used, self.entry.templates_granted)

    @property
    def seconds(self) -> str:
        """The month's."""
        return _changes(self.entry.ms_held / 1000, self.entry.ms_used / 1000, self.entry.ms_granted / 1000)

    @property
    def bytes(self) -> str:
        """Of storage."""
        return _changes(self.entry.bytes_held, self.entry.bytes_used, 0)


def _changes(held: float, used: float, granted: float) -> str:
    """As in "held −1, used +1"."""
    words = {_("held"): held, _("used"): used, _("granted"): granted}
    return ", ".join(
        _("%(what)s %(change)s") % {"what": what, "change": _signed(change)} for what, change in words.items() if change
    )


def _signed(change: float) -> str:
    # number_format cuts, and would tell 6.666 and 6.67 as two.
    told = number_format(round(abs(change), 2), 2 if change % 1 else 0, force_grouping=True)
    return f"{'−' if change < 0 else '+'}{told}"


def _bar(label: str, meter: Meter, told: Callable[[int], str]) -> Bar:
    spent = told(meter.held + meter.used)
    if meter.limit is None:
        return Bar(label, _("%(spent)s, no limit") % {"spent": spent}, None, "calm")
    text = _("%(spent)s of %(limit)s") % {"spent": spent, "limit": told(meter.limit)}
    if not meter.limit:
        # No news to anybody, and nothing to fill.
        return Bar(label, text, None, "calm")
    percent = meter.percent or 0
    return Bar(label, text, percent, "calm" if percent < NEAR else "warn" if percent < FULL else "bad")


def _number(value: int) -> str:
    return number_format(value, decimal_pos=0, force_grouping=True)
