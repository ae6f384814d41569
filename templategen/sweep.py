"""One pass over what should be moving and is not: lost messages, dead workers, abandoned uploads, old trash."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django_q.tasks import queue_size

from templategen import actions, pipeline
from templategen.clients.build import storage
from templategen.clients.storage import StorageError
from templategen.models import ActionTemplate, Clip
from templategen.states import DELETABLE, State

logger = logging.getLogger(__name__)

_AT_ONCE = 200
# Each of these costs calls to OSS; the conductor has other things to do.
_CALLS_AT_ONCE = 10
# With so many messages waiting, one that is missing would only wait behind them.
_LONG_QUEUE = 100


def once(*, now: datetime) -> None:
    """Everything the sweep does. One step that fails keeps no other from being done."""
    for step in (_ring_for_checks, _unsent_claims, _unanswered, _abandoned_uploads, _trash, _discarded_clips):
        try:
            step(now)
        except Exception:
            logger.exception("sweep failed", extra={"step": step.__name__})


def _ring_for_checks(now: datetime) -> None:
    """Uploaded clips that nobody checks: the message was lost, or the worker died, or OSS was away."""
    if queue_size() > _LONG_QUEUE:
        return
    # Just finished uploads have their message under way.
    due = ActionTemplate.objects.filter(state=State.CHECKING, next_look_at__lte=now - timedelta(seconds=10))
    for template_pk in due.order_by("next_look_at").values_list("pk", flat=True)[:_LONG_QUEUE]:
        actions.ring("check", template_pk=template_pk)


def _unsent_claims(now: datetime) -> None:
    """A launch whose message was lost: nothing was sent yet, so the claim is simply given back."""
    bound = now - timedelta(seconds=settings.LAUNCH_LEASE_SECONDS)
    stale = ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at=None, claimed_at__lte=bound)
    for template in stale[:_AT_ONCE]:
        template.move(
            State.QUEUED,
            guard={"sent_at": None, "claim_token": template.claim_token},
            claim_token="",
            next_look_at=now,
            detail={"decision": "launch never began"},
        )


def _unanswered(now: datetime) -> None:
    """The worker died in the middle of the paid call: it may have been made."""
    bound = now - 2 * timedelta(seconds=settings.DASHSCOPE_TIMEOUT_SECONDS) - timedelta(seconds=30)
    for template in ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at__lte=bound)[:_AT_ONCE]:
        pipeline.mark_unconfirmed(template, template.claim_token, message="the worker stopped before the answer")


def _abandoned_uploads(now: datetime) -> None:
    """OSS throws unfinished uploads away after a day (setup_oss); the rows go too."""
    old = ActionTemplate.objects.select_related("clip").filter(
        state=State.UPLOADING, created_at__lte=now - timedelta(days=settings.UPLOAD_DAYS)
    )
    for template in old[:_CALLS_AT_ONCE]:
        try:
            actions.cancel(template, by=None)
        except actions.ActionError:
            # Its owner was faster.
            continue
    _left_parts()


def _left_parts() -> None:
    """Uploads canceled while OSS was away: their parts are billed until they are thrown away."""
    left = ActionTemplate.objects.select_related("clip").filter(state=State.CANCELED, deleted_at__isnull=False)
    for template in left.filter(clip__stored_at=None).exclude(clip__upload_id="")[:_CALLS_AT_ONCE]:
        if not actions.abort_upload(template.clip):
            return


def _trash(now: datetime) -> None:
    """Remove for good what was deleted TRASH_DAYS ago, unless it is restored in this very moment."""
    bound = now - timedelta(days=settings.TRASH_DAYS)
    old = ActionTemplate.objects.filter(deleted_at__lte=bound, state__in=DELETABLE)
    for template in old[:_AT_ONCE]:
        with transaction.atomic():
            mine = ActionTemplate.objects.select_for_update().filter(
                pk=template.pk, deleted_at__lte=bound, state__in=DELETABLE
            )
            if not mine.delete()[0]:
                continue
            Clip.objects.filter(pk=template.clip_id, templates=None).update(discarded_at=now)
        logger.info("removed for good", extra={"template": template.public_id, "template_id": template.template_id})


def _discarded_clips(_now: datetime) -> None:
    """The objects of clips whose template is gone; the row goes last, so that no object is forgotten."""
    for clip in Clip.objects.filter(discarded_at__isnull=False)[:_CALLS_AT_ONCE]:
        try:
            # Also where we never saw it stored: a completion whose answer was lost may have made the object.
            storage().delete(*filter(None, [clip.object_key, clip.poster_key]))
        except StorageError as problem:
            logger.warning("removing a clip failed", extra={"clip": clip.pk, "code": problem.code})
            return
        clip.delete()
