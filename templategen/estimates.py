"""How long things take on this site: medians of what was made last, places in line, expected times.

Times are reckoned from the site's own past, never from figures of Alibaba's; before the first template nothing is
expected. A place counts the account's own line only: how many others wait is nobody's business, though the times here
reckon with their turns.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from templategen import turns
from templategen.credentials import credential_of
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus
from templategen.states import AT_SERVICE, FOR_A_PERSON, State

_LAST = 50
_KEEP_SECONDS = 60


@dataclass(frozen=True)
class Times:
    """Medians of this site's last templates: at work at Alibaba, and from submit to template ID."""

    run: timedelta
    whole: timedelta


@dataclass(frozen=True)
class Place:
    """Where a template stands. ``number`` (from 1) of ``of`` in its account's own line; both 0 once handed over.

    The times are None where nothing can be said: before the site's first template, while the credential is paused, or
    while the answer to a submit is looked for.
    ``expected_start`` of one at work is when it began. ``expected_ready`` may lie in the past: it takes longer than
    usual.
    """

    number: int
    of: int
    expected_start: datetime | None
    expected_ready: datetime | None
    # The line stands still until it is known what became of a submit that got no answer.
    is_behind_search: bool = False


# When they were reckoned, and the medians.
_kept: list[tuple[float, Times | None]] = []


def forget() -> None:
    """Reckon the medians anew at the next question."""
    _kept.clear()


def times() -> Times | None:
    """Medians of the last templates (each process keeps them for a minute); None before the first."""
    now = time.monotonic()
    if _kept and now - _kept[0][0] < _KEEP_SECONDS:
        return _kept[0][1]
    found = _medians()
    _kept[:] = [(now, found)]
    return found


def run_time() -> timedelta | None:
    """Median time at work of the last templates; None before the first."""
    known = times()
    return known.run if known else None


def _medians() -> Times | None:
    done = ActionTemplate.objects.filter(state=State.READY, sent_at__isnull=False, ready_at__gt=F("sent_at"))
    rows = done.order_by("-pk").values_list("sent_at", "running_at", "ended_at", "ready_at")[:_LAST]
    runs, wholes = [], []
    for sent, running, ended, ready in rows:
        if sent is None or ready is None:
            continue
        end = ended or ready
        # What was never seen at work was quick: then it is the time since the submit.
        began = running if running is not None and running < end else sent
        runs.append((end - began).total_seconds())
        wholes.append((ready - sent).total_seconds())
    if not runs:
        return None
    return Times(timedelta(seconds=max(median(runs), 0.0)), timedelta(seconds=median(wholes)))


def place_in_line(templates: Iterable[ActionTemplate], *, now: datetime | None = None) -> dict[int, Place]:
    """For those of ``templates`` that wait or are at work: primary key → Place. Four queries, however many they are."""
    now = now or timezone.now()
    asked = [template for template in templates if State(template.state) in AT_SERVICE | {State.QUEUED}]
    if not asked:
        return {}
    known = times()
    lines = _lines(now, known.run if known else None)
    numbers = _numbers(asked)
    return {template.pk: _place(template, numbers, lines) for template in asked}


@dataclass
class _Line:
    """One credential's line: who waits, in order of turns, and when slots become free."""

    now: datetime
    run: timedelta | None
    # Accounts in the order of their turns → how many wait.
    waiting: dict[int, int] = field(default_factory=dict)
    # Primary key → start and end of what is at the service.
    open: dict[int, tuple[datetime, datetime]] = field(default_factory=dict)
    # When each slot is free for the next one, the earliest first; how many next ones are promised away already.
    free: Sequence[datetime] = ()
    promised: int = 0
    # An answer is being looked for: nothing else goes out (handover.py).
    is_searched: bool = False

    def start(self, index: int) -> datetime:
        """When the ``index``-th (from 0) that takes a free slot begins: every one runs for the same time."""
        rounds, slot = divmod(index, len(self.free))
        return self.free[slot] + rounds * (self.run or timedelta())

    def start_of(self, account_id: int, number: int) -> datetime | None:
        """When the account's ``number``-th may be expected to begin; None when nothing can be said."""
        if self.run is None or not self.free:
            return None
        before, earlier = number - 1, True
        for other, count in self.waiting.items():
            if other == account_id:
                earlier = False
                continue
            # Each has had as many turns as we, and those before us in the circle one more.
            before += min(count, number if earlier else number - 1)
        return self.start(self.promised + before)


def _place(template: ActionTemplate, numbers: dict[int, int], lines: dict[int | None, _Line]) -> Place:
    if template.state == State.QUEUED and template.pk in numbers:
        line = _line_of(template.account_id, lines)
        number = numbers[template.pk]
        start = line.start_of(template.account_id, number)
        ready = start + line.run if start is not None and line.run is not None else None
        of = max(line.waiting.get(template.account_id, 0), number)
        return Place(number, of, start, ready, is_behind_search=line.is_searched)
    times = lines[template.credential_id].open.get(template.pk)
    return Place(0, 0, *(times or (None, None)))


def _line_of(account_id: int, lines: dict[int | None, _Line]) -> _Line:
    """The line in which the account waits; of one without a turn (suspended) its credential's."""
    found = next((line for line in lines.values() if account_id in line.waiting), None)
    return lines[credential_of(account_id)] if found is None else found


def _numbers(asked: Sequence[ActionTemplate]) -> dict[int, int]:
    """Primary key → place in the account's own line: first come, first served."""
    waiting = [template for template in asked if template.state == State.QUEUED]
    if not waiting:
        return {}
    # Numbered here: a window function would number only the rows that are asked for.
    rows = ActionTemplate.objects.filter(
        state=State.QUEUED, account__in={template.account_id for template in waiting}
    ).order_by("queued_at", "pk")
    asked_for = {template.pk for template in waiting}
    numbers: dict[int, int] = {}
    before: Counter[int] = Counter()
    for account_id, pk in rows.values_list("account_id", "pk"):
        before[account_id] += 1
        if pk in asked_for:
            numbers[pk] = before[account_id]
    return numbers


def _lines(now: datetime, run: timedelta | None) -> dict[int | None, _Line]:
    lines: defaultdict[int | None, _Line] = defaultdict(lambda: _Line(now, run))
    for one in turns.in_turn():
        lines[one.credential_id].waiting[one.account_id] = one.count
    paused = set(CredentialStatus.objects.filter(paused_at__isnull=False).values_list("key", flat=True))
    at_work: defaultdict[int | None, list[_Open]] = defaultdict(list)
    rows = ActionTemplate.objects.filter(state__in=AT_SERVICE).order_by("claimed_at", "pk")
    # One that is left to a person holds nothing up.
    rows = rows.exclude(state=State.UNCONFIRMED, error_code=FOR_A_PERSON)
    for owner, pk, state, running, sent in rows.values_list("credential", "pk", "state", "running_at", "sent_at"):
        if state == State.UNCONFIRMED:
            # It holds no slot, but all others wait until it is found, nobody knows how long.
            lines[owner].is_searched = True
        else:
            at_work[owner].append(_Open(pk, state, running, sent))
    for credential_id in lines.keys() | at_work.keys():
        _set_out(lines[credential_id], at_work[credential_id])
        line = lines[credential_id]
        if line.is_searched or ("site" if credential_id is None else str(credential_id)) in paused:
            lines[credential_id].free = ()
    return lines


@dataclass(frozen=True)
class _Open:
    """A row at the service, as far as times go."""

    pk: int
    state: str
    running_at: datetime | None
    sent_at: datetime | None


def _set_out(line: _Line, rows: Sequence[_Open]) -> None:
    """Reckon when each of ``rows`` (in order of their claims) begins and ends, and when slots are free after them."""
    if line.run is None:
        return
    slots = max(settings.DASHSCOPE_SLOTS, 1)
    running = [row for row in rows if row.state == State.RUNNING]
    for row in running:
        began = row.running_at or row.sent_at or line.now
        line.open[row.pk] = (began, began + line.run)
    # One that takes longer than usual may end at any moment.
    ends = sorted(max(line.open[row.pk][1], line.now) for row in running)
    free = [line.now] * max(slots - len(ends), 0) + ends
    line.free = free[-slots:]
    for row in rows:
        if row.state != State.RUNNING:
            start = line.start(line.promised)
            line.open[row.pk] = (start, start + line.run)
            line.promised += 1
