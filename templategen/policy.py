"""What to make of an answer that is a refusal, or of a task that failed: the one table of DashScope's codes.

Codes and statuses: the API page's own table and the "Error messages" page (docs/alibaba.md 1.3 and 5). The code decides
and the status only where the code is not known: billing trouble also comes as 429 and as 400.
"""

import random
from datetime import timedelta
from enum import StrEnum

from django.conf import settings

from templategen.clients.dashscope import RefusedError

# About 24 hours (docs/alibaba.md 3.1), from an end that nobody may have seen: from when a task was last known.
RESULTS_KEPT = timedelta(hours=25)


class Verdict(StrEnum):
    """Who does what next."""

    # Once more with a fresh address of the clip; a second time it is the user's.
    NOW = "now"
    # A limit on requests, which passes by itself: the credential waits.
    LATER = "later"
    # The key, the bill or a right of the site: the credential is paused until it is mended.
    PAUSE = "pause"
    # The clip or the request is at fault: sent again as it is, it ends the same.
    USER = "user"
    # The service failed: whether something was made, or is billed, is not known.
    PERSON = "person"


_BY_CODE: dict[str, Verdict] = {
    # --- the address of the clip ---
    "InvalidURL.ConnectionRefused": Verdict.NOW,
    "InvalidURL.Timeout": Verdict.NOW,
    "InvalidParameter.DataInspection": Verdict.NOW,
    # --- limits ---
    "Throttling": Verdict.LATER,
    "Throttling.RateQuota": Verdict.LATER,
    "Throttling.BurstRate": Verdict.LATER,
    "Throttling.AllocationQuota": Verdict.LATER,
    # --- key, rights, bill; the last four although they come as 400 and 429 ---
    "InvalidApiKey": Verdict.PAUSE,
    "NOT AUTHORIZED": Verdict.PAUSE,
    "AccessDenied": Verdict.PAUSE,
    "AccessDenied.Unpurchased": Verdict.PAUSE,
    "Model.AccessDenied": Verdict.PAUSE,
    "App.AccessDenied": Verdict.PAUSE,
    "Workspace.AccessDenied": Verdict.PAUSE,
    "AllocationQuota.FreeTierOnly": Verdict.PAUSE,
    "ModelNotFound": Verdict.PAUSE,
    "model_not_supported": Verdict.PAUSE,
    "WorkSpaceNotFound": Verdict.PAUSE,
    "NotFound": Verdict.PAUSE,
    "Arrearage": Verdict.PAUSE,
    "CommodityNotPurchased": Verdict.PAUSE,
    "PrepaidBillOverdue": Verdict.PAUSE,
    "PostpaidBillOverdue": Verdict.PAUSE,
    # --- the clip, the request ---
    "InvalidParameter": Verdict.USER,
    "InvalidFile.Size": Verdict.USER,
    "InvalidFile.Resolution": Verdict.USER,
    "InvalidFile.Duration": Verdict.USER,
    "InvalidFile.AspectRatio": Verdict.USER,
    "InvalidFile.FPS": Verdict.USER,
    "InvalidFile.Format": Verdict.USER,
    "InvalidFile.Openerror": Verdict.USER,
    "InvalidFile.Content": Verdict.USER,
    "InvalidFile.FullBody": Verdict.USER,
    "DataInspectionFailed": Verdict.USER,
    "IPInfringementSuspect": Verdict.USER,
    "UnsupportedOperation": Verdict.USER,
    # --- the service itself ---
    "InternalError": Verdict.PERSON,
    "InternalError.Algo": Verdict.PERSON,
    "InternalError.Timeout": Verdict.PERSON,
    "InternalError.Upload": Verdict.PERSON,
    "InternalError.FileUpload": Verdict.PERSON,
    "SystemError": Verdict.PERSON,
    "ModelServiceFailed": Verdict.PERSON,
    "RequestTimeOut": Verdict.PERSON,
    "ModelUnavailable": Verdict.PERSON,
    "ModelServingError": Verdict.PERSON,
}
_BY_FAMILY: tuple[tuple[str, Verdict], ...] = (
    ("Throttling", Verdict.LATER),
    ("InvalidURL", Verdict.NOW),
    ("InvalidFile", Verdict.USER),
    ("InvalidParameter", Verdict.USER),
    ("BadRequest", Verdict.USER),
    ("DataInspection", Verdict.USER),
    ("AllocationQuota", Verdict.PAUSE),
    ("AccessDenied", Verdict.PAUSE),
    ("InternalError", Verdict.PERSON),
)
_BY_STATUS: dict[int, Verdict] = {
    401: Verdict.PAUSE,
    402: Verdict.PAUSE,
    403: Verdict.PAUSE,
    404: Verdict.PAUSE,
    407: Verdict.PAUSE,
    429: Verdict.LATER,
}
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)


def verdict(problem: RefusedError) -> Verdict:
    """What a refused call means for the credential and the template. Nothing was made, but for PERSON."""
    return verdict_on(problem.code) or _BY_STATUS.get(problem.status, Verdict.USER)


def verdict_on(code: str) -> Verdict | None:
    """The table's word on a code; None for one that it does not have.

    Of a task that failed too, where it says only who mends it: whether a failed task is billed is not documented, so
    the machine never sends one again.
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    return next((found for family, found in _BY_FAMILY if code.startswith(family)), None)


def verdict_on_look(problem: RefusedError) -> Verdict:
    """The same for a refused look or list: only what stops every call pauses; all else is asked again later."""
    found = verdict(problem)
    return found if found is Verdict.PAUSE and problem.status != 404 else Verdict.LATER


def known_codes() -> frozenset[str]:
    """Every code of the table."""
    return frozenset(_BY_CODE)


def back_off(tries: int, *, retry_after: float | None = None) -> timedelta:
    """As long as the answer asks for (seconds), else ever longer; with jitter, so that not all come back at once."""
    if retry_after is not None:
        # A second more at most, so that not all come back in the same moment.
        return timedelta(seconds=max(retry_after, 1.0) + random.random())  # noqa: S311
    wait: timedelta = min(_FIRST_WAIT * 2 ** min(tries, 10), _LONGEST_WAIT)
    return wait * random.uniform(1.0, 1.5)  # noqa: S311


def skew() -> timedelta:
    """How far our clock and the service's may differ, apart from what is found out about it."""
    return timedelta(seconds=settings.RECONCILE_SKEW_SECONDS)


def settle_time() -> timedelta:
    """For how long the task list must stay without it to prove that a task was not made."""
    return timedelta(seconds=settings.RECONCILE_SETTLE_SECONDS)
