"""How things go with a credential: paused (its key, bill or rights are at fault), throttled, or well.

The only writer of CredentialStatus. Every change is one conditional update, so that processes may race.
"""

import logging
import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from templategen.models import CredentialStatus

logger = logging.getLogger(__name__)

SITE = "site"
# A paused credential is tried ever more seldom, up to this.
_LONGEST_PROBE_WAIT = timedelta(hours=1)
_FIRST_HOLD, _LONGEST_HOLD = timedelta(seconds=5), timedelta(minutes=5)


def key_of(credential_id: int | None) -> str:
    """The key of the credential's row; None is the site's."""
    return SITE if credential_id is None else str(credential_id)


def status_of(credential_id: int | None) -> CredentialStatus:
    """Its row, made at the first question."""
    return CredentialStatus.objects.get_or_create(key=key_of(credential_id))[0]


def paused() -> list[CredentialStatus]:
    """Every credential that is paused, the longest first."""
    return list(CredentialStatus.objects.filter(paused_at__isnull=False).order_by("paused_at"))


def may_submit(status: CredentialStatus, *, now: datetime) -> bool:
    """Whether a template may be handed over: neither throttled nor paused, or paused and due for one try."""
    if status.submits_held_until is not None and status.submits_held_until > now:
        return False
    return status.paused_at is None or (status.probe_at is not None and status.probe_at <= now)


def begin_probe(status: CredentialStatus, *, now: datetime) -> bool:
    """Whether this one submit may try a paused credential: the next try is put off in the same update."""
    wait = min(timedelta(seconds=settings.PAUSE_PROBE_SECONDS) * 2 ** min(status.probes, 10), _LONGEST_PROBE_WAIT)
    due = CredentialStatus.objects.filter(pk=status.pk, paused_at__isnull=False, probe_at__lte=now)
    return bool(due.update(probe_at=now + wait, probes=F("probes") + 1))


def pause(credential_id: int | None, *, code: str, message: str, request_id: str = "") -> None:
    """Nothing more is submitted with it but a single try now and then."""
    now = timezone.now()
    row = CredentialStatus.objects.filter(pk=status_of(credential_id).pk)
    why = {"pause_code": code, "pause_message": message, "pause_request_id": request_id}
    if row.filter(paused_at=None).update(
        paused_at=now, probe_at=now + timedelta(seconds=settings.PAUSE_PROBE_SECONDS), probes=0, **why
    ):
        logger.error("credential paused", extra={"credential": key_of(credential_id), "code": code})
    else:
        row.update(**why)


def resume(credential_id: int | None) -> bool:
    """It works again, or somebody mended it; whether it was paused."""
    resumed = CredentialStatus.objects.filter(key=key_of(credential_id), paused_at__isnull=False).update(
        paused_at=None,
        probe_at=None,
        probes=0,
        pause_code="",
        pause_message="",
        pause_request_id="",
        submits_held_until=None,
        looks_held_until=None,
        throttles=0,
    )
    if resumed:
        logger.warning("credential resumed", extra={"credential": key_of(credential_id)})
    return bool(resumed)


def hold_submits(credential_id: int | None, *, retry_after: float | None) -> None:
    """Throttled: wait as long as the answer says, else ever longer, with jitter (alibaba.md 5, 429)."""
    status = status_of(credential_id)
    until = timezone.now() + _hold(status.throttles, retry_after)
    CredentialStatus.objects.filter(pk=status.pk).update(submits_held_until=until, throttles=F("throttles") + 1)


def hold_looks(credential_id: int | None, *, retry_after: float | None) -> None:
    """The same for looks."""
    status = status_of(credential_id)
    until = timezone.now() + _hold(status.throttles, retry_after)
    CredentialStatus.objects.filter(pk=status.pk).update(looks_held_until=until, throttles=F("throttles") + 1)


def went_well(credential_id: int | None) -> None:
    """A submit was accepted: whatever was wrong is over."""
    if not resume(credential_id):
        CredentialStatus.objects.filter(Q(throttles__gt=0), key=key_of(credential_id)).update(
            throttles=0, submits_held_until=None
        )


def _hold(throttles: int, retry_after: float | None) -> timedelta:
    if retry_after is not None:
        return timedelta(seconds=retry_after)
    wait: timedelta = min(_FIRST_HOLD * 2 ** min(throttles, 10), _LONGEST_HOLD)
    return wait * random.uniform(1.0, 1.5)  # noqa: S311
