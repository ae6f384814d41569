"""How the pipeline stands, in a few cheap questions: for the metrics, the readiness probe and the admin's page.

Reads only. Each question is answered from an index, whatever number of templates there is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import Count, Min, Q
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import queue_size

from templategen import alarms
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.pipeline_models import Heartbeat, Lease
from templategen.states import FOR_A_PERSON, SETTLED, WATCHED, State

CONDUCTOR = "conductor"
QUEUE = "queue"
# Counting settled rows reads a large part of an index: once a minute is enough for what only grows.
_SETTLED_SECONDS = 60
_ALARM_SECONDS = 10
_IN_MOTION = sorted(set(State) - SETTLED)
# By then the sweep and the conductor have had many occasions.
OVERDUE = timedelta(minutes=10)


@dataclass(frozen=True)
class Standing:
    """How many templates are in a state, those in the trash left out, and how long the first of them has been there."""

    state: State
    count: int
    oldest_seconds: float | None


@dataclass(frozen=True)
class Holder:
    """Who has a lease: ``held`` is whether it has not run out; ``epoch`` counts the changes of hands."""

    name: str
    owner: str
    until: datetime
    epoch: int
    held: bool


@dataclass(frozen=True)
class Beat:
    """When a background process last showed that it does work."""

    name: str
    at: datetime
    age_seconds: float


def by_state(*, now: datetime) -> list[Standing]:
    """Every state, in the order of a template's life. Settled ones are as of the last minute."""
    settled = cache.get_or_set("standing.settled", _settled, _SETTLED_SECONDS) or {}
    found = {**settled, **_numbers(_IN_MOTION)}
    return [_standing(state, found.get(state.value, (0, None)), now) for state in State]


def _settled() -> dict[str, tuple[int, datetime | None]]:
    return _numbers(sorted(SETTLED))


def _numbers(states: list[State]) -> dict[str, tuple[int, datetime | None]]:
    rows = ActionTemplate.objects.filter(state__in=states, deleted_at=None).order_by()
    counted = rows.values_list("state").annotate(Count("pk"), Min("changed_at"))
    return {state: (count, oldest) for state, count, oldest in counted}


def _standing(state: State, found: tuple[int, datetime | None], now: datetime) -> Standing:
    count, oldest = found
    return Standing(state, count, max((now - oldest).total_seconds(), 0.0) if oldest else None)


def undecided() -> TemplateQuerySet:
    """Unconfirmed ones that the machine leaves to a person, the longest first."""
    return ActionTemplate.objects.filter(state=State.UNCONFIRMED, error_code=FOR_A_PERSON).order_by("changed_at", "pk")


def looked_for() -> TemplateQuerySet:
    """Unconfirmed ones whose answer the machine still looks for, the longest first: their credentials' lines wait."""
    found = ActionTemplate.objects.filter(state=State.UNCONFIRMED).exclude(error_code=FOR_A_PERSON)
    return found.order_by("changed_at", "pk")


def overdue(*, now: datetime) -> TemplateQuerySet:
    """Those whose next step should have come long ago: nobody does it, or it never ends. The longest first."""
    late = now - OVERDUE
    stepped = Q(state__in=sorted(WATCHED | {State.CHECKING, State.UNCONFIRMED}), next_look_at__lt=late)
    handed_over = Q(state=State.SUBMITTING, claimed_at__lt=late)
    machine = ~Q(state=State.UNCONFIRMED, error_code=FOR_A_PERSON)
    return ActionTemplate.objects.filter(stepped | handed_over).filter(machine).order_by("next_look_at", "pk")


def unread(*, now: datetime) -> TemplateQuerySet:
    """Alarms: tasks that ended, or may have, so long ago that their results are about to be dropped. Oldest first."""
    return alarms.unread(now).order_by("sent_at", "pk")


def alarm_count(*, now: datetime) -> int:
    """How many alarms there are: as of the last moments, for every page of the admin shows it."""
    count = cache.get("standing.alarms")
    if count is None:
        count = alarms.unread(now).count()
        cache.set("standing.alarms", count, _ALARM_SECONDS)
    return int(count)


def queue_is_redis() -> bool:
    """Whether messages lie on a Redis server, which tells their number only."""
    return not Conf.ORM


def queue_length() -> int:
    """Messages that wait for a worker. Raises what the broker's client raises when its server is away."""
    return int(queue_size())


def oldest_message_seconds(*, now: datetime) -> float | None:
    """How long the first waiting message has been waiting; None where none waits, or the queue does not tell."""
    if queue_is_redis():
        return None
    first = OrmQ.objects.filter(lock__lte=now).aggregate(first=Min("lock"))["first"]
    return (now - first).total_seconds() if first else None


def leases(*, now: datetime) -> list[Holder]:
    """Every lease that there is."""
    return [
        Holder(lease.name, lease.owner, lease.until, lease.epoch, held=lease.until > now)
        for lease in Lease.objects.order_by("name")
    ]


def conductor(*, now: datetime) -> Holder | None:
    """Who conducts, or did last; None where nobody ever has. The other leases are the machine's own matter."""
    return next((holder for holder in leases(now=now) if holder.name == CONDUCTOR), None)


def beats(*, now: datetime) -> list[Beat]:
    """Every heartbeat that there is."""
    return [
        Beat(beat.name, beat.at, max((now - beat.at).total_seconds(), 0.0))
        for beat in Heartbeat.objects.order_by("name")
    ]


def forget() -> None:
    """Count anew at the next question: for tests."""
    cache.delete_many(["standing.settled", "standing.alarms"])
