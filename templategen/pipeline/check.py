"""The check: the stored clip is probed by range reads and gets its poster; then it is QUEUED or BLOCKED.

A good clip is BLOCKED where the account's quota is used up; it needs no new check then (actions.retry).
"""

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.ledger import OverLimitError
from templategen.clients.build import storage
from templategen.clients.storage import ObjectGoneError, StorageError, random_key
from templategen.models import ActionTemplate, Clip
from templategen.states import OVER_QUOTA, State
from templategen.video.probe import Probe, probe
from templategen.video.source import ObjectSource, SourceError

logger = logging.getLogger(__name__)

# Times a check is begun before it is given up: bytes that kill the worker each time must not do so for ever.
CHECK_TRIES = 5
# OSS not giving the bytes is nobody's fault: the check waits, it does not count.
_STORAGE_WAIT = timedelta(seconds=30)


def check(*, template_pk: int) -> None:
    """Probe the stored clip by range reads, make its poster, and move to QUEUED or BLOCKED."""
    template = _claim_check(template_pk)
    if template is None:
        return
    if template.step_tries > CHECK_TRIES:
        _block(template, code="check.given_up")
        return
    clip = template.clip
    try:
        result = probe(_object_source(clip))
        poster_key = _store_poster(result)
    except ObjectGoneError:
        _block(template, code="clip.gone")
    except (SourceError, StorageError) as problem:
        _check_later(template, problem)
    else:
        _record_check(template, result, poster_key=poster_key)


def _claim_check(template_pk: int) -> ActionTemplate | None:
    """The row, if it is to be checked and nobody is at it. The tries are counted before the work begins."""
    now, token = timezone.now(), uuid.uuid4().hex
    claimed = ActionTemplate.objects.filter(pk=template_pk, state=State.CHECKING, next_look_at__lte=now).update(
        claim_token=token,
        claimed_at=now,
        next_look_at=now + timedelta(seconds=settings.CHECK_LEASE_SECONDS),
        step_tries=F("step_tries") + 1,
    )
    if not claimed:
        return None
    return ActionTemplate.objects.select_related("clip").get(pk=template_pk)


def _object_source(clip: Clip) -> ObjectSource:
    def fetch(start: int, end: int) -> bytes:
        return storage().read_range(clip.object_key, start, end)

    return ObjectSource(clip.size_bytes, fetch)


def _store_poster(result: Probe) -> str:
    if not result.first_frame:
        return ""
    key = random_key("posters", ".webp")
    storage().put(key, result.first_frame, content_type="image/webp")
    return key


def _check_later(template: ActionTemplate, problem: Exception) -> None:
    """OSS did not give the bytes: not the clip's fault, so no try is counted. The sweep rings again in time."""
    logger.warning("check could not read the clip", extra={"template": template.public_id, "problem": repr(problem)})
    ActionTemplate.objects.filter(pk=template.pk, state=State.CHECKING, claim_token=template.claim_token).update(
        next_look_at=timezone.now() + _STORAGE_WAIT,
        step_tries=max(template.step_tries - 1, 0),
        error_code="check.storage",
        version=F("version") + 1,
    )


def _block(template: ActionTemplate, *, code: str) -> None:
    template.move(State.BLOCKED, guard={"claim_token": template.claim_token}, error_code=code, detail={"code": code})


def _record_check(template: ActionTemplate, result: Probe, *, poster_key: str) -> None:
    now = timezone.now()
    findings = [finding.to_dict() for finding in result.findings]
    broken = [finding.rule for finding in result.findings if finding.verdict == "fail"]
    guard = {"claim_token": template.claim_token}
    # So many seconds are held by the move.
    template.clip.duration_s = result.facts.duration_s if result.facts else None
    with transaction.atomic():
        if result.ok:
            won = _queue(template, guard, now=now)
        else:
            won = template.move(State.BLOCKED, guard=guard, error_code="limits", detail={"rules": broken})
        if won:
            Clip.objects.filter(pk=template.clip_id).update(
                facts=result.facts.to_dict() if result.facts else {},
                findings=findings,
                duration_s=template.clip.duration_s,
                poster_key=poster_key,
                passed=result.ok,
                checked_at=now,
            )
    # The poster of an earlier check, or of this one where another was first.
    unused = template.clip.poster_key if won else poster_key
    if unused:
        storage().delete(unused)


def _queue(template: ActionTemplate, guard: dict[str, Any], *, now: datetime) -> bool:
    """QUEUED, or BLOCKED where the quota has no room; whether the row was still this claim's."""
    values: dict[str, Any] = {"step_tries": 0, "claim_token": ""}
    try:
        return template.move(State.QUEUED, guard=guard, queued_at=now, next_look_at=now, error_code="", **values)
    except OverLimitError as problem:
        told = {"code": OVER_QUOTA, "what": problem.what, "limit": problem.limit}
        logger.info("over the quota", extra={"template": template.public_id, "what": problem.what})
        return template.move(
            State.BLOCKED, guard=guard, error_code=OVER_QUOTA, error_message=problem.what, detail=told, **values
        )
