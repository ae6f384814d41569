"""How things go with a credential: paused (its key, bill or rights are at fault), throttled, or well.

The only writer of CredentialStatus. Every change is one conditional update, so that processes may race: a hold is only
ever made longer, and that a call went well ends nothing that began after it.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Credential
from templategen import policy
from templategen.clients.dashscope import RefusedError
from templategen.pipeline_models import CredentialStatus
from templategen.policy import Verdict

logger = logging.getLogger(__name__)

SITE = "site"
# A paused credential is tried ever more seldom, up to this.
_LONGEST_PROBE_WAIT = timedelta(hours=1)
# No hold and no wait is longer (clients.dashscope reads no Retry-After beyond an hour): the clock was wrong.
LONGEST_HOLD = timedelta(minutes=65)
# A pause that is over sooner is nobody's trouble.
_WORTH_A_MAIL = timedelta(minutes=2)


def key_of(credential_id: int | None) -> str:
    """The key of the credential's row; None is the site's."""
    return SITE if credential_id is None else str(credential_id)


def names_of(statuses: Iterable[CredentialStatus]) -> dict[str, str]:
    """What each one's key is called where the site is run: the site's, or whose."""
    keys = [status.key for status in statuses]
    own = Credential.objects.select_related("account").filter(pk__in=[key for key in keys if key != SITE])
    names = {str(row.pk): _("The key of %(account)s (%(hint)s)") % {"account": row.account, "hint": row} for row in own}
    return {key: _("The site's key") if key == SITE else names.get(key, key) for key in keys}


def status_of(credential_id: int | None) -> CredentialStatus:
    """Its row, made at the first question."""
    return CredentialStatus.objects.get_or_create(key=key_of(credential_id))[0]


def paused() -> list[CredentialStatus]:
    """Every credential that is paused, the longest first."""
    return list(CredentialStatus.objects.filter(paused_at__isnull=False).order_by("paused_at"))


def untold(*, now: datetime) -> list[int]:
    """Accounts' own credentials that are paused, and whose owners have not been told so."""
    rows = CredentialStatus.objects.filter(paused_at__lte=now - _WORTH_A_MAIL, told_at=None).exclude(key=SITE)
    return [int(key) for key in rows.order_by("paused_at").values_list("key", flat=True)]


def claim_telling(credential_id: int, *, now: datetime) -> str | None:
    """The code for which it is paused, for whoever tells the owners: once for each pause. None: nothing to tell."""
    row = CredentialStatus.objects.filter(key=key_of(credential_id), paused_at__isnull=False, told_at=None)
    code = row.values_list("pause_code", flat=True).first()
    return code if row.update(told_at=now) else None


def not_told(credential_id: int) -> None:
    """Nobody could be told: somebody tries again."""
    CredentialStatus.objects.filter(key=key_of(credential_id)).update(told_at=None)


def may_submit(status: CredentialStatus, *, now: datetime) -> bool:
    """Whether a template may be handed over: neither throttled nor paused, or paused and due for one try."""
    if is_held(status.submits_held_until, now=now):
        return False
    return status.paused_at is None or (status.probe_at is not None and not is_held(status.probe_at, now=now))


def is_held(until: datetime | None, *, now: datetime) -> bool:
    """Whether a wait until then is still on. One that no answer asked for, so long is it, counts as over."""
    return until is not None and now < until <= now + LONGEST_HOLD


def begin_probe(status: CredentialStatus, *, now: datetime) -> bool:
    """Whether this one submit may try a paused credential: the next try is put off in the same update."""
    wait = min(timedelta(seconds=settings.PAUSE_PROBE_SECONDS) * 2 ** min(status.probes, 10), _LONGEST_PROBE_WAIT)
    due = Q(probe_at__lte=now) | Q(probe_at__gt=now + LONGEST_HOLD)
    paused_one = CredentialStatus.objects.filter(due, pk=status.pk, paused_at__isnull=False)
    return bool(paused_one.update(probe_at=now + wait, probes=F("probes") + 1))


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


_NOT_PAUSED = {
    "paused_at": None, "told_at": None, "probe_at": None, "probes": 0,
    "pause_code": "", "pause_message": "", "pause_request_id": "",
}  # fmt: skip
_NOT_HELD = {"submits_held_until": None, "looks_held_until": None, "held_at": None, "throttles": 0}


def resume(credential_id: int | None) -> bool:
    """Somebody mended it; whether it was paused."""
    resumed = CredentialStatus.objects.filter(key=key_of(credential_id), paused_at__isnull=False).update(
        **_NOT_PAUSED, **_NOT_HELD
    )
    if resumed:
        logger.warning("credential resumed", extra={"credential": key_of(credential_id)})
    return bool(resumed)


def hold_submits(credential_id: int | None, *, retry_after: float | None) -> None:
    """Throttled: wait as long as the answer says, else ever longer, with jitter (alibaba.md 5, 429)."""
    _hold("submits_held_until", credential_id, retry_after)


def hold_looks(credential_id: int | None, *, retry_after: float | None) -> None:
    """The same for looks."""
    _hold("looks_held_until", credential_id, retry_after)


def _hold(name: str, credential_id: int | None, retry_after: float | None) -> None:
    status, now = status_of(credential_id), timezone.now()
    until = now + policy.back_off(status.throttles, retry_after=retry_after)
    same = CredentialStatus.objects.filter(pk=status.pk)
    same.update(throttles=F("throttles") + 1, held_at=now)
    shorter = Q(**{name: None}) | Q(**{f"{name}__lt": until}) | Q(**{f"{name}__gt": now + LONGEST_HOLD})
    same.filter(shorter).update(**{name: until})


def learn_page_size(credential_id: int | None, rows: int, *, now: datetime) -> None:
    """How many rows of the task list a page was found to hold at most (its limit is not documented)."""
    CredentialStatus.objects.filter(pk=status_of(credential_id).pk).update(page_size=rows, page_size_at=now)


def went_well(credential_id: int | None, *, begun_at: datetime | None) -> None:
    """A submit that was begun then was accepted: whatever was wrong before is over, what came since is not."""
    if begun_at is None:
        return
    row = CredentialStatus.objects.filter(key=key_of(credential_id))
    if row.filter(paused_at__lt=begun_at).update(**_NOT_PAUSED):
        logger.warning("credential resumed", extra={"credential": key_of(credential_id)})
    row.filter(throttles__gt=0, held_at__lt=begun_at).update(**_NOT_HELD)


def forget_retired(credential_id: int | None) -> None:
    """Nothing is done any more with a credential that was replaced or removed: no pause of it is anybody's trouble."""
    retired = Credential.objects.filter(retired_at__isnull=False)
    if credential_id is not None and retired.filter(pk=credential_id).exists():
        CredentialStatus.objects.filter(key=key_of(credential_id)).delete()


def bring_back(*, now: datetime, ahead: timedelta) -> int:
    """Bring back what a clock that was ahead wrote down; how many changes."""
    rows, late = CredentialStatus.objects, now + LONGEST_HOLD
    return (
        rows.filter(paused_at__gt=now + ahead).update(paused_at=now)
        + rows.filter(held_at__gt=now + ahead).update(held_at=now)
        + rows.filter(probe_at__gt=late).update(probe_at=now)
        + rows.filter(submits_held_until__gt=late).update(submits_held_until=None)
        + rows.filter(looks_held_until__gt=late).update(looks_held_until=None)
    )


def refused(credential_id: int | None, problem: RefusedError, *, looking: bool = False) -> Verdict:
    """Pause or hold back the credential as the table of codes says; what it says, for the row's part.

    ``looking``: a look or a list was refused, not a submit.
    """
    found = policy.verdict_on_look(problem) if looking else policy.verdict(problem)
    if found is Verdict.PAUSE:
        pause(credential_id, code=problem.code, message=problem.message, request_id=problem.request_id)
        if looking:
            hold_looks(credential_id, retry_after=None)
    elif found is Verdict.LATER:
        (hold_looks if looking else hold_submits)(credential_id, retry_after=problem.retry_after)
    return found
