"""What Prometheus reads from /metrics: gauges and counters, made from the database at each scrape.

The database is the one place that every process writes to, so any web process may be asked and nothing is kept in
files or memory between scrapes. Counts of settled states are as of the last minute (standing.py).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from templategen import standing
from templategen.pipeline_models import CredentialStatus, Tally
from templategen.states import SETTLED, State

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Codes come from the service: a flood of new ones must not become a flood of series, nor push out other counters.
_MOST_TALLIES, _MOST_LABELS = 5000, 200
# What has ended stays for ever; its age says nothing. A lost one is still looked at.
_AGED = frozenset(State) - SETTLED | {State.LOST}
# What each tally counts, and by what.
_TALLIES = {
    "looks": ("Answers of DashScope about tasks: of one (get), or a page of the list (list).", "call"),
    "look_errors": ("Looks that failed, by code.", "code"),
    "submits": ("Submits by what came of them.", "outcome"),
    "passes": ("Passes of the conductor.", "kind"),
    "lease_takeovers": ("Times that a worker became the conductor.", "kind"),
}
_ANOTHER = ("Counted by the pipeline.", "kind")


class PipelineCollector(Collector):
    """Asks the database when it is asked."""

    def collect(self) -> Iterator[Metric]:
        """Every family, in a constant order."""
        now = timezone.now()
        yield from _templates(now)
        yield from _queue(now)
        yield from _processes(now)
        yield from _credentials(now)
        yield _gauge("alarms", "Finished tasks whose result was not read in time.", standing.alarm_count(now=now))
        yield from _tallies()


def text() -> bytes:
    """The text of one scrape (Prometheus text format 0.0.4)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PipelineCollector())
    return generate_latest(registry)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"templategen_{name}", about, value=value)


def _templates(now: datetime) -> Iterator[Metric]:
    count = GaugeMetricFamily("templategen_templates", "Templates by state, without the trash.", labels=["state"])
    oldest = GaugeMetricFamily(
        "templategen_oldest_seconds", "How long the first template has been in its state; 0: none.", labels=["state"]
    )
    for found in standing.by_state(now=now):
        count.add_metric([found.state.value], found.count)
        if found.state in _AGED:
            oldest.add_metric([found.state.value], found.oldest_seconds or 0.0)
    yield count
    yield oldest
    yield _gauge("undecided", "Unconfirmed templates that wait for a person.", standing.undecided().count())
    yield _gauge("overdue", "Templates whose next step should have come long ago.", standing.overdue(now=now).count())


def _queue(now: datetime) -> Iterator[Metric]:
    try:
        length = standing.queue_length()
    except Exception:  # noqa: BLE001 -- each broker's client has its own
        yield _gauge("queue_up", "Whether the queue's server answers.", 0)
        return
    yield _gauge("queue_up", "Whether the queue's server answers.", 1)
    yield _gauge("queue_messages", "Messages that wait for a worker.", length)
    if not standing.queue_is_redis():
        waiting = standing.oldest_message_seconds(now=now)
        yield _gauge("queue_oldest_seconds", "How long the first message has been waiting; 0: none.", waiting or 0.0)


def _processes(now: datetime) -> Iterator[Metric]:
    ages = GaugeMetricFamily("templategen_heartbeat_age_seconds", "Since the last sign of life.", labels=["name"])
    for beat in standing.beats(now=now):
        ages.add_metric([beat.name], beat.age_seconds)
    held = GaugeMetricFamily("templategen_lease_held", "Whether somebody holds the lease.", labels=["lease"])
    taken = CounterMetricFamily(
        "templategen_lease_changes", "Changes of hands of the lease since the site was made.", labels=["lease"]
    )
    for lease in standing.leases(now=now):
        held.add_metric([lease.name], lease.held)
        taken.add_metric([lease.name], lease.epoch)
    yield ages
    yield held
    yield taken


def _credentials(now: datetime) -> Iterator[Metric]:
    paused = GaugeMetricFamily("templategen_credential_paused", "Whether submitting is paused.", labels=["credential"])
    held = GaugeMetricFamily(
        "templategen_credential_held_seconds",
        "For how long throttling holds calls back.",
        labels=["credential", "call"],
    )
    for status in CredentialStatus.objects.order_by("key"):
        paused.add_metric([status.key], status.paused_at is not None)
        for call, until in (("submit", status.submits_held_until), ("look", status.looks_held_until)):
            held.add_metric([status.key, call], max((until - now).total_seconds(), 0.0) if until else 0.0)
    yield paused
    yield held


def _tallies() -> Iterator[Metric]:
    """Each tally is a counter; where any of its rows has a label, all have one."""
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    most = Tally.objects.order_by("-count", "name", "label").values_list("name", "label", "count")[:_MOST_TALLIES]
    for name, label, count in most:
        counts = rows[re.sub(r"\W", "_", name, flags=re.ASCII)]
        if len(counts) < _MOST_LABELS:
            counts[label] = count
    for name, counts in sorted(rows.items()):
        about, by = _TALLIES.get(name, _ANOTHER)
        if set(counts) == {""}:
            yield CounterMetricFamily(f"templategen_{name}", about, value=counts[""])
            continue
        family = CounterMetricFamily(f"templategen_{name}", about, labels=[by])
        for label, count in sorted(counts.items()):
            family.add_metric([label], count)
        yield family
