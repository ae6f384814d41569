"""Stamps that lie in the future: a clock was ahead when they were written, and is not any more (or this one is behind).

What waits for such a moment would wait for hours or years. Each is brought back to now as soon as the sweep sees it,
but for ``sent_at``, which says when a paid call went out by the sender's clock: what cannot be known is not invented.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from templategen import credential_status, policy
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.pipeline_models import Heartbeat, Turn
from templategen.states import FOR_A_PERSON, SETTLED, WATCHED, State

logger = logging.getLogger(__name__)

# Clocks of machines that are kept in step differ by less.
_AHEAD = timedelta(minutes=5)
_AT_ONCE = 500
# Lost ones, and tasks laid out for a person, are looked at each quarter of an hour.
_SELDOM = timedelta(minutes=20)
# Those that are not to be looked at again are put off by ten years.
_NEVER = timedelta(days=1000)
_IN_MOTION = sorted(set(State) - SETTLED)
_STAMPS = (
    "looked_at", "unknown_since", "running_at", "ended_at", "claimed_at", "rung_at", "queued_at", "cancel_wanted_at",
    "changed_at",
)  # fmt: skip


def bring_back(now: datetime) -> int:
    """Let nothing wait for a moment that only a wrong clock named; how many rows were changed."""
    looks = _looks_put_off_too_far(now).update(next_look_at=now, version=F("version") + 1)
    count = looks + _stamps_brought_back(now) + credential_status.bring_back(now=now, ahead=_AHEAD)
    count += Turn.objects.filter(at__gt=now + _AHEAD).update(at=now)
    count += Heartbeat.objects.filter(at__gt=now + _AHEAD).update(at=now)
    if count:
        logger.error("stamps in the future: a clock is or was wrong", extra={"count": count, "looks": looks})
    return count


def _looks_put_off_too_far(now: datetime) -> TemplateQuerySet:
    """Next looks further off than any wait that the pipeline knows."""
    longest = _AHEAD + timedelta(seconds=max(settings.UNKNOWN_SECONDS / 5, settings.CHECK_LEASE_SECONDS))
    step = Q(state__in=sorted(WATCHED | {State.CHECKING, State.QUEUED}), next_look_at__gt=now + longest)
    # Also those that were given up by a clock that was ahead: by their own times they may come back.
    recent = Q(sent_at__gt=now - policy.RESULTS_KEPT) | Q(looked_at__gt=now - policy.RESULTS_KEPT)
    recent |= Q(ended_at__gt=now - policy.RESULTS_KEPT)
    lost = Q(state=State.LOST, next_look_at__gt=now + _SELDOM) & recent
    laid_out = Q(
        state=State.UNCONFIRMED,
        error_code=FOR_A_PERSON,
        next_look_at__gt=now + _SELDOM,
        next_look_at__lt=now + _NEVER,
    )
    return ActionTemplate.objects.filter(step | lost | laid_out)


def _stamps_brought_back(now: datetime) -> int:
    ahead = now + _AHEAD
    any_ahead = Q(*[(f"{name}__gt", ahead) for name in _STAMPS], _connector=Q.OR)
    rows = ActionTemplate.objects.filter(any_ahead, state__in=_IN_MOTION).only("state", *_STAMPS)[:_AT_ONCE]
    count = 0
    for row in rows:
        stamps = {name: getattr(row, name) for name in _STAMPS}
        wrong = {name: at for name, at in stamps.items() if at is not None and at > ahead}
        same = ActionTemplate.objects.filter(pk=row.pk, state=row.state, **wrong)
        count += same.update(version=F("version") + 1, **dict.fromkeys(wrong, now))
    return count


def sent_in_the_future(now: datetime) -> TemplateQuerySet:
    """Open calls that, by the sender's clock, are still to come."""
    return ActionTemplate.objects.filter(state=State.SUBMITTING, sent_at__gt=now + policy.skew())
