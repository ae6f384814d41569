"""What one reading of the task list says about one submit without an answer (docs/decisions/paid-calls.md).

Which task was there before the call is told without any clock of ours, for a wrong one would pay twice: by the order of
our Events. A task that an Event named before this claim's own Event was made before its call; all that the list calls
older than the newest of these is older still. Clocks are compared only where a task may be adopted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min, Q

from templategen import policy
from templategen.models import ActionTemplate, Event, TemplateQuerySet
from templategen.states import State
from templategen.task_list import Gathered, Listed

LIST_WINDOW = timedelta(hours=23)
"""The list reaches back 24 hours; what is looked for in it must not be just falling out of it."""
# Our own tasks of this time before the call have to be in it.
_WITNESSED = timedelta(hours=12)
# A task's time in the list is its server's: two of them differ by this at most, and Date has whole seconds.
_NEAR = timedelta(seconds=5)
_AT_ONCE = 500


@dataclass(frozen=True)
class Evidence:
    """What a reading says about one template."""

    # Not known to be older than the call, of another model, or another row's by more than a decision: one of these may
    # be its task.
    possible: list[Listed]
    # With the very request ID that the call's answer carried.
    certain: Listed | None
    # The single possible one, made in the time of the call, with nothing that speaks against it.
    likely: Listed | None
    # The counts agree, and every task of ours of late is there.
    whole: bool
    # Shows a task of ours at all: this is the list that would show the one looked for.
    witnessed: bool
    # Others use this Alibaba account for templates too.
    shared: bool
    # No row's, of any model and time: what a person may choose from where nothing else is known.
    unowned: list[Listed]


def weigh(template: ActionTemplate, gathered: Gathered) -> Evidence:
    """Compare the list with the rows and Events. ``template`` has ``sent_at``."""
    named_by = _named_by([task.task_id for task in gathered.tasks])
    unowned = [task for task in gathered.tasks if task.task_id not in named_by]
    witnesses = [task for task in gathered.tasks if task.task_id in named_by]
    names = {"", settings.DASHSCOPE_MODEL} | {task.model for task in witnesses}
    ours = [task for task in unowned if task.model in names]
    claim = _claim(template)
    since = _known_before(claim, witnesses, named_by)
    certain = next((task for task in unowned if _says(template, task) is True), None)
    decided = _decided_since(claim, witnesses, named_by)
    possible = [task for task in ours + decided if _is_since(since, task)]
    if certain is not None and certain not in possible:
        possible.append(certain)
    theirs = bool(decided) or not _laid_out_for_others(template).isdisjoint(task.task_id for task in possible)
    must_show = dict(must_be_shown(template, now=gathered.began).values_list("task_id", "sent_at"))
    return Evidence(
        possible=possible,
        certain=certain,
        likely=None
        if theirs
        else _likely(template, possible, _time_of_call(template, list(_clock_differences(gathered, must_show)))),
        whole=gathered.whole and must_show.keys() <= {task.task_id for task in gathered.tasks},
        witnessed=bool(witnesses),
        shared=len(ours) > 1,
        unowned=unowned,
    )


def must_be_shown(template: ActionTemplate, *, now: datetime) -> TemplateQuerySet:
    """Rows of the same credential whose tasks the list has to show: sent not long before this one, or later."""
    since = max((template.sent_at or now) - _WITNESSED, now - LIST_WINDOW)
    # The states, and changed_at, are for the index: a row changes when it is sent.
    with_task = [State.PENDING, State.RUNNING, State.READY, State.FAILED, State.CANCELED]
    rows = ActionTemplate.objects.filter(state__in=with_task, changed_at__gte=since, sent_at__gte=since)
    return rows.filter(Q(credential_id=template.credential_id)).exclude(task_id="").exclude(pk=template.pk)


def longest_call() -> timedelta:
    """A call's time-outs: connecting, then waiting for the answer."""
    return 2 * timedelta(seconds=settings.DASHSCOPE_TIMEOUT_SECONDS)


def call_end(template: ActionTemplate) -> datetime:
    """When the call was over at the latest, as far as its time-outs say."""
    assert template.sent_at is not None  # noqa: S101  # only rows with a call are looked for
    longest = template.sent_at + longest_call()
    return min(template.call_over_at, longest) if template.call_over_at else longest


def _named_by(task_ids: list[str]) -> dict[str, int]:
    """Tasks that some template has or had, with the first Event that named each (0: a row does, no Event).

    A retry clears the row's own task, its Events stay.
    """
    named: dict[str, int] = {}
    for start in range(0, len(task_ids), _AT_ONCE):
        some = task_ids[start : start + _AT_ONCE]
        rows = ActionTemplate.objects.filter(task_id__in=some).values_list("task_id", flat=True)
        named |= dict.fromkeys(rows, 0)
        events = Event.objects.filter(task_id__in=some).order_by().values("task_id").annotate(first=Min("pk"))
        named |= dict(events.values_list("task_id", "first"))
    return named


def _claim(template: ActionTemplate) -> int:
    """This claim's own Event; 0 where there is none."""
    claims = template.events.filter(kind=Event.Kind.MOVED, to=State.SUBMITTING).order_by("-pk")
    return claims.values_list("pk", flat=True).first() or 0


def _known_before(claim: int, witnesses: list[Listed], named_by: dict[str, int]) -> datetime | None:
    """By the list's clock: when the newest task was made that we knew of before this claim; None without one."""
    older = [task.made_at for task in witnesses if task.made_at is not None and 0 < named_by[task.task_id] < claim]
    return max(older, default=None)


def _is_since(since: datetime | None, task: Listed) -> bool:
    return since is None or task.made_at is None or task.made_at >= since - _NEAR


def _decided_since(claim: int, witnesses: list[Listed], named_by: dict[str, int]) -> list[Listed]:
    """Tasks that somebody, or the list, gave to another template since this claim: it may be this one's after all."""
    later = {named_by[task.task_id]: task for task in witnesses if 0 < claim < named_by[task.task_id]}
    moves = Event.objects.filter(pk__in=list(later), kind=Event.Kind.MOVED).values_list("pk", "detail")
    return [later[pk] for pk, detail in moves if "decision" in detail]


def _laid_out_for_others(template: ActionTemplate) -> set[str]:
    """Tasks of which a person may still say that they are another template's."""
    rows = ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(pk=template.pk).exclude(found=[])
    return {str(each["task_id"]) for found in rows.values_list("found", flat=True) for each in found}


def _says(template: ActionTemplate, task: Listed) -> bool | None:
    """Whether the request IDs of the answer and of the task are the same; None where one is not known."""
    if not template.submit_request_id or not task.request_id:
        return None
    return template.submit_request_id == task.request_id


def _clock_differences(gathered: Gathered, sent_at: dict[str, datetime | None]) -> Iterator[timedelta]:
    """How far the list's clock is ahead of ours: by our own tasks in it, and by the answer's Date. At least one."""
    said = gathered.clock_ahead
    sent = [(task.made_at, sent_at.get(task.task_id)) for task in gathered.tasks]
    told = [made - ours for made, ours in sent if made is not None and ours is not None]
    yield from told
    if said is not None or not told:
        yield said or timedelta()


def _time_of_call(template: ActionTemplate, known: list[timedelta]) -> tuple[datetime, datetime] | None:
    """By the list's clock: when its task was made, at the earliest and the latest (a slow server makes it later).

    None where the clocks cannot be told to agree.
    """
    if max(known) - min(known) > policy.skew():
        return None
    assert template.sent_at is not None  # noqa: S101  # only rows with a call are looked for
    return template.sent_at + min(known) - _NEAR, call_end(template) + max(known) + policy.skew()


def _likely(
    template: ActionTemplate, possible: list[Listed], window: tuple[datetime, datetime] | None
) -> Listed | None:
    if len(possible) != 1 or window is None:
        return None
    [task] = possible
    in_time = task.made_at is not None and window[0] <= task.made_at <= window[1]
    return task if in_time and _says(template, task) is not False else None
