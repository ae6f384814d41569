"""What may be expected of a template that waits or is being made: its place in line, and when it will be ready.

Times are guesses from this site's own past (estimates.py), so they are said roughly: whole minutes, later ranges,
which grow with how far off the end is. Where nothing is known nothing is said.
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from templategen.estimates import Place, place_in_line
from templategen.models import ActionTemplate
from templategen.states import AT_SERVICE, State
from templategen.web.hold import Hold

_MINUTE, _HOUR = 60.0, 3600.0
# Up to here whole minutes are said, then ranges of this much less and more.
_WHOLE_MINUTES = 10 * _MINUTE
_LESS, _MORE = 0.8, 1.25
# Ranges end on fives of minutes, from here on on whole hours.
_STEP, _LONG, _TOO_LONG = 5, 2 * _HOUR, 48 * _HOUR


def outlooks(templates: Iterable[ActionTemplate], hold: Hold | None) -> dict[int, str]:
    """Primary key → one or two sentences, for those of which something can be said. A handful of queries at most."""
    now = timezone.now()
    # What is to be canceled has no future.
    expected = [row for row in templates if row.cancel_wanted_at is None]
    waiting = [row for row in expected if State(row.state) in AT_SERVICE | {State.QUEUED}]
    places = place_in_line(waiting, now=now)
    told = {row.pk: outlook(State(row.state), places[row.pk], hold, now) for row in waiting if row.pk in places}
    return {pk: text for pk, text in told.items() if text}


def outlook(state: State, place: Place, hold: Hold | None, now: datetime) -> str:
    """The sentences for one; empty where nothing is known."""
    left = place.expected_ready - now if place.expected_ready is not None else None
    if state == State.QUEUED:
        return " ".join(filter(None, [_in_line(place), _what_then(place, hold, left)]))
    if left is None:
        return ""
    if left <= timedelta():
        return _("It takes longer than usual.")
    return _time_left(left) if state == State.RUNNING else _ready_in(left)


def _what_then(place: Place, hold: Hold | None, left: timedelta | None) -> str:
    if hold is not None:
        return hold.line
    if place.is_behind_search:
        return _("Nothing is sent until it is known what became of a video that was sent and got no answer.")
    return _ready_in(left) if left is not None else ""


def _in_line(place: Place) -> str:
    if not place.number:
        return ""
    if place.of == 1:
        return _("The only one in your line.")
    return _("Number %(number)d of %(all)d in your line.") % {"number": place.number, "all": place.of}


def _ready_in(left: timedelta) -> str:
    seconds = left.total_seconds()
    if seconds <= _MINUTE:
        return _("Ready in about a minute.")
    if seconds <= _WHOLE_MINUTES:
        minutes = math.ceil(seconds / _MINUTE)
        return ngettext(
            "Ready in about %(count)d minute.", "Ready in about %(count)d minutes.", minutes
        ) % {"count": minutes}  # fmt: skip
    if seconds <= _LONG:
        return _("Ready in %(least)d to %(most)d minutes.") % _range(seconds / _MINUTE, _STEP)
    if seconds <= _TOO_LONG:
        return _("Ready in %(least)d to %(most)d hours.") % _range(seconds / _HOUR, 1)
    return _("Ready in two days or later.")


def _time_left(left: timedelta) -> str:
    seconds = left.total_seconds()
    if seconds <= _MINUTE:
        return _("Less than a minute left.")
    if seconds <= _WHOLE_MINUTES:
        minutes = math.ceil(seconds / _MINUTE)
        return ngettext("About %(count)d minute left.", "About %(count)d minutes left.", minutes) % {"count": minutes}
    if seconds <= _LONG:
        return _("%(least)d to %(most)d minutes left.") % _range(seconds / _MINUTE, _STEP)
    return _("Some hours left.")


def _range(value: float, step: int) -> dict[str, int]:
    """Round numbers below and above, never the same."""
    least = math.floor(value * _LESS / step) * step
    most = math.ceil(value * _MORE / step) * step
    return {"least": max(least, step), "most": max(most, least + step)}
