"""One pass over what should be moving and is not: lost messages, dead workers, abandoned uploads, old trash."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django_q.tasks import queue_size

from accounts import ledger, thresholds
from templategen import actions, alarms, clock_trouble, credential_status, housekeeping, pipeline, standing
from templategen.clients.build import storage
from templategen.clients.storage import StorageError, StorageUnreachableError
from templategen.models import ActionTemplate, Clip, TemplateQuerySet
from templategen.states import DELETABLE, State

logger = logging.getLogger(__name__)

_AT_ONCE = 200
# Each of these costs calls to OSS; the conductor has other things to do.
_CALLS_AT_ONCE = 10
# With so many messages waiting, one that is missing would only wait behind them.
_LONG_QUEUE = 100
# A message just sent is on its way; one that was rung again lies in the queue or in a worker's hands for so long.
_ON_ITS_WAY, _RUNG_AGAIN, _RUNG_LONG_AGO = timedelta(seconds=10), timedelta(seconds=60), timedelta(minutes=10)
_HOURLY, _MINUTE = 3600, 60


def once(*, now: datetime) -> dict[str, int]:
    """Everything the sweep does; how much of each. One step that fails keeps no other from being done."""
    return _do(_STEPS, now)


def at_home(*, now: datetime) -> dict[str, int]:
    """What asks the database and the queue only: it waits for no service, and nobody is to wait for it."""
    return _do([name for name in _STEPS if name not in _CALLING], now)


def abroad(*, now: datetime) -> dict[str, int]:
    """What calls OSS or DashScope: while one of them does not answer it takes minutes, and may."""
    return _do(_CALLING, now)


def _do(names: Iterable[str], now: datetime) -> dict[str, int]:
    done: dict[str, int] = {}
    for name in names:
        try:
            done[name] = _STEPS[name](now)
        except Exception:
            logger.exception("sweep failed", extra={"step": name})
    return done


# --- lost messages ---


def _checks_rung(now: datetime) -> int:
    """Uploaded clips that nobody checks: the message was lost, or the worker died, or OSS was away."""
    due = ActionTemplate.objects.filter(state=State.CHECKING, next_look_at__lte=now - _ON_ITS_WAY)
    return _ring(due.order_by("next_look_at"), now, lambda row: actions.ring("check", template_pk=row.pk))


def _launches_rung(now: datetime) -> int:
    """Claims whose launch did not begin; later they are given back (``_claims_given_back``)."""
    due = ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at=None, claimed_at__lte=now - _ON_ITS_WAY)
    return _ring(due, now, lambda row: actions.ring("launch", template_pk=row.pk, token=row.claim_token))


def _cancels_rung(now: datetime) -> int:
    """Tasks that somebody wanted canceled before they were known."""
    due = ActionTemplate.objects.filter(state=State.PENDING, cancel_wanted_at__lte=now - _ON_ITS_WAY)
    return _ring(due, now, lambda row: actions.ring("cancel", template_pk=row.pk))


def _ring(due: TemplateQuerySet, now: datetime, ring: Callable[[ActionTemplate], None]) -> int:
    """Tell the queue of each again, unless it was told lately: messages must not pile up behind a slow worker."""
    waiting = queue_size()
    # An empty queue has lost what is still due; a long one may hold it far behind.
    apart = _ON_ITS_WAY if waiting == 0 else _RUNG_AGAIN if waiting <= _LONG_QUEUE else _RUNG_LONG_AGO
    silent = due.filter(Q(rung_at=None) | Q(rung_at__lte=now - apart))
    if waiting > _LONG_QUEUE:
        silent = silent.filter(changed_at__lte=now - _RUNG_LONG_AGO)
    rows = list(silent[:_LONG_QUEUE])
    for row in rows:
        with transaction.atomic():
            if ActionTemplate.objects.filter(pk=row.pk, rung_at=row.rung_at).update(rung_at=now):
                ring(row)
    return len(rows)


# --- dead workers ---


def _claims_given_back(now: datetime) -> int:
    """A launch that never began: nothing was sent, so the claim is simply given back.

    Not while its message may only be waiting: behind a queue that is longer than the lease each new claim's message
    would come too late as well, and nothing would ever be launched.
    """
    bound = now - timedelta(seconds=settings.LAUNCH_LEASE_SECONDS)
    stale = ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at=None, claimed_at__lte=bound)
    if not stale.exists():
        return 0
    first_waiting = _first_waiting(now)
    if first_waiting is not None:
        rung_before = first_waiting - _ON_ITS_WAY
        stale = stale.filter(Q(rung_at__lt=rung_before) | Q(rung_at=None, claimed_at__lt=rung_before))
    return sum(
        template.move(
            State.QUEUED,
            guard={"sent_at": None, "claim_token": template.claim_token},
            claim_token="",
            next_look_at=now,
            detail={"decision": "launch never began"},
        )
        for template in stale[:_AT_ONCE]
    )


def _first_waiting(now: datetime) -> datetime | None:
    """Since when the queue's first message waits: any from then on may wait too. None: none does."""
    if queue_size() == 0:
        return None
    seconds = standing.oldest_message_seconds(now=now)
    # Redis tells their number only.
    return datetime.min.replace(tzinfo=UTC) + _RUNG_LONG_AGO if seconds is None else now - timedelta(seconds=seconds)


def _calls_without_an_answer(now: datetime) -> int:
    """The worker died, or was stopped, in the middle of the paid call: it may have been made."""
    longest = timedelta(seconds=2 * settings.DASHSCOPE_TIMEOUT_SECONDS + settings.LAUNCH_LEASE_SECONDS / 2)
    old = ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at__lte=now - longest)
    # Where the sender's clock was ahead, by the claim's: no launch begins later than its lease.
    lease = timedelta(seconds=settings.LAUNCH_LEASE_SECONDS)
    old |= clock_trouble.sent_in_the_future(now).filter(claimed_at__lte=now - lease - longest)
    return sum(
        pipeline.mark_unconfirmed(template, template.claim_token, message="the worker stopped before the answer")
        for template in old[:_AT_ONCE]
    )


# --- what nobody wants any more ---


def _uploads_expired(now: datetime) -> int:
    """OSS throws unfinished uploads away after a day (setup_oss); the rows go too."""
    old = ActionTemplate.objects.select_related("clip").filter(
        state=State.UPLOADING, created_at__lte=now - timedelta(days=settings.UPLOAD_DAYS)
    )
    count = 0
    for template in old[:_CALLS_AT_ONCE]:
        try:
            count += actions.cancel(template, by=None)
        except actions.ActionError:
            # Its owner was faster.
            continue
    return count


def _parts_thrown_away(_now: datetime) -> int:
    """Uploads canceled while OSS was away: their parts are billed until they are thrown away."""
    left = ActionTemplate.objects.select_related("clip").filter(state=State.CANCELED, deleted_at__isnull=False)
    # In any order, here and below: those that OSS refuses for reasons of their own must not stand before all others.
    count = 0
    for template in left.filter(clip__stored_at=None).exclude(clip__upload_id="").order_by("?")[:_CALLS_AT_ONCE]:
        if not actions.abort_upload(template.clip):
            break
        count += 1
    return count


def _trash(now: datetime) -> int:
    """Remove for good what was deleted TRASH_DAYS ago, unless it is restored in this very moment."""
    bound = now - timedelta(days=settings.TRASH_DAYS)
    old = ActionTemplate.objects.filter(deleted_at__lte=bound, state__in=DELETABLE)
    count = 0
    for template in old[:_AT_ONCE]:
        with transaction.atomic():
            mine = ActionTemplate.objects.select_for_update().filter(
                pk=template.pk, deleted_at__lte=bound, state__in=DELETABLE
            )
            if not mine.delete()[0]:
                continue
            Clip.objects.filter(pk=template.clip_id, templates=None).update(discarded_at=now)
        count += 1
        logger.info("removed for good", extra={"template": template.public_id, "template_id": template.template_id})
    return count


def _discarded_clips(_now: datetime) -> int:
    """The objects of clips whose template is gone; the row goes last, so that no object is forgotten."""
    count = 0
    for clip in Clip.objects.filter(discarded_at__isnull=False).order_by("?")[:_CALLS_AT_ONCE]:
        try:
            # Also where we never saw it stored: a completion whose answer was lost may have made the object.
            storage().delete(*filter(None, [clip.object_key, clip.poster_key]))
        except StorageError as problem:
            logger.warning("removing a clip failed", extra={"clip": clip.pk, "code": problem.code})
            if isinstance(problem, StorageUnreachableError):
                break
            continue
        with transaction.atomic():
            ledger.release_bytes(clip.account_id, ledger.clip_reference(clip.object_key))
            clip.delete()
        count += 1
    return count


# --- what people and tables should know ---


def _results_unread(now: datetime) -> int:
    """The alarm: results that are gone soon, or may be. Once an hour at most."""
    count = alarms.unread(now).count()
    if count and cache.add("sweep.alarm", 1, _HOURLY):
        first = list(alarms.unread(now).order_by("sent_at").values_list("public_id", flat=True)[:5])
        logger.error("results not read for long", extra={"count": count, "templates": [str(one) for one in first]})
    return count


def _owners_told(now: datetime) -> int:
    """Owners of accounts that have come near a limit, or to it: a mail each, once a month. Looked at once a minute."""
    if not cache.add("sweep.quota", 1, _MINUTE):
        return 0
    count = 0
    for one in thresholds.crossed(now=now):
        # Due until the job has told: a message that was lost is rung again.
        if cache.add(f"sweep.quota.{one.account_id}.{one.percent}", 1, _RUNG_LONG_AGO.total_seconds()):
            actions.ring("tell_owners", account_pk=one.account_id, percent=one.percent)
            count += 1
    return count


def _pauses_told(now: datetime) -> int:
    """Owners of accounts whose own key is paused: a mail each, once for each pause."""
    count = 0
    for credential_id in credential_status.untold(now=now):
        # Due until the job has told: a message that was lost is rung again.
        if cache.add(f"sweep.pause.{credential_id}", 1, _RUNG_LONG_AGO.total_seconds()):
            actions.ring("tell_of_pause", credential_pk=credential_id)
            count += 1
    return count


def _tables_pruned(now: datetime) -> int:
    """What the queue's and the sessions' tables keep for nobody. Once a day."""
    return int(housekeeping.daily(now))


_STEPS: dict[str, Callable[[datetime], int]] = {
    # First: the others go by these stamps, and it waits for nobody.
    "stamps_brought_back": clock_trouble.bring_back,
    "checks_rung": _checks_rung,
    # Before they are rung for: by the messages that were there.
    "claims_given_back": _claims_given_back,
    "launches_rung": _launches_rung,
    "cancels_rung": _cancels_rung,
    "calls_without_an_answer": _calls_without_an_answer,
    "uploads_expired": _uploads_expired,
    "parts_thrown_away": _parts_thrown_away,
    "removed_from_trash": _trash,
    "objects_removed": _discarded_clips,
    "results_unread": _results_unread,
    "owners_told": _owners_told,
    "pauses_told": _pauses_told,
    "tables_pruned": _tables_pruned,
}
_CALLING = ("uploads_expired", "parts_thrown_away", "objects_removed", "tables_pruned")
