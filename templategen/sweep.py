"""One pass over what should be moving and is not: lost messages, dead workers, abandoned uploads, old trash."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from templategen import actions, pipeline
from templategen.clients.build import storage
from templategen.clients.storage import StorageError
from templategen.models import ActionTemplate, Clip
from templategen.states import State

logger = logging.getLogger(__name__)

# A launch whose message was lost: nothing was sent yet, so the claim is simply given back.
_LAUNCH_WAIT = timedelta(seconds=90)
_AT_ONCE = 200


def once(*, now: datetime) -> None:
    """Everything the sweep does."""
    _ring_for_checks(now)
    _unsent_claims(now)
    _unanswered(now)
    _abandoned_uploads(now)
    _trash(now)


def _ring_for_checks(now: datetime) -> None:
    """Uploaded clips that nobody checks: the message was lost, or the worker died, or OSS was away."""
    # Just finished uploads have their message under way.
    due = ActionTemplate.objects.filter(state=State.CHECKING, next_look_at__lte=now - timedelta(seconds=10))
    for template_pk in due.values_list("pk", flat=True)[:_AT_ONCE]:
        actions.ring("check", template_pk=template_pk)


def _unsent_claims(now: datetime) -> None:
    stale = ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at=None, claimed_at__lte=now - _LAUNCH_WAIT)
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
    for template in old[:_AT_ONCE]:
        actions.cancel(template, by=None)
    # Canceled while OSS was away: its parts are billed until they are thrown away.
    left = ActionTemplate.objects.select_related("clip").filter(state=State.CANCELED, clip__stored_at=None)
    for template in left.exclude(clip__upload_id="").filter(deleted_at__isnull=False)[:_AT_ONCE]:
        actions.abort_upload(template.clip)


def _trash(now: datetime) -> None:
    """Remove for good what was deleted TRASH_DAYS ago: objects first, so that no row forgets an object."""
    old = ActionTemplate.objects.select_related("clip").filter(
        deleted_at__lte=now - timedelta(days=settings.TRASH_DAYS)
    )
    for template in old[:_AT_ONCE]:
        clip = template.clip
        try:
            # Also where we never saw it stored: a completion whose answer was lost may have made the object.
            storage().delete(*filter(None, [clip.object_key, clip.poster_key]))
        except StorageError as problem:
            logger.warning("emptying the trash failed", extra={"template": template.public_id, "code": problem.code})
            return
        logger.info("removed for good", extra={"template": template.public_id, "template_id": template.template_id})
        with transaction.atomic():
            template.delete()
            Clip.objects.filter(pk=clip.pk, templates=None).delete()
