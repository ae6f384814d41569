"""How long to wait after what: looks at tasks, refused submits, services that do not answer.

Codes: DashScope's "Error messages" page (alibaba.md section 5).
"""

import random
from datetime import timedelta

from templategen.clients.dashscope import RefusedError

UNREACHABLE_WAIT = timedelta(seconds=15)
FAILED_LOOK_WAIT = timedelta(seconds=5)
# Our clock and the service's may differ by this much.
SKEW = timedelta(minutes=2)
# The task list is believed to be whole this long after a call that got no answer.
SETTLE_WAIT = timedelta(seconds=45)
# The site's trouble (key, bill, permission): one template tries again after this long, the others wait behind it.
SITE_TROUBLE_WAIT = timedelta(minutes=5)
_SHORTEST_LOOK, _LONGEST_LOOK = timedelta(seconds=1), timedelta(seconds=15)

# Not the clip's fault: the administrator mends these. Some come as 429 or 400, so the status says nothing.
SITE_TROUBLE = frozenset(
    {
        "InvalidApiKey", "NOT AUTHORIZED", "AccessDenied", "AccessDenied.Unpurchased", "Model.AccessDenied",
        "App.AccessDenied", "Workspace.AccessDenied", "AllocationQuota.FreeTierOnly", "Arrearage", "ModelNotFound",
        "model_not_supported", "WorkSpaceNotFound", "NotFound", "CommodityNotPurchased", "PrepaidBillOverdue",
        "PostpaidBillOverdue",
    }
)  # fmt: skip


def look_wait(age: timedelta) -> timedelta:
    """Until the next look at a task of that age: soon at first, then an eighth of its age, at most 15 s."""
    return min(max(age / 8, _SHORTEST_LOOK), _LONGEST_LOOK)


def is_throttling(problem: RefusedError) -> bool:
    """A limit on requests, which passes by itself; AllocationQuota was also seen with 400."""
    return problem.code.startswith("Throttling") or (problem.status == 429 and problem.code not in SITE_TROUBLE)


def wait_after_refusal(problem: RefusedError, *, tries: int) -> timedelta | None:
    """Until the refused submit may go out again (nothing was made); None when it must not: the input is at fault."""
    if is_throttling(problem):
        return timedelta(seconds=problem.retry_after or min(5 * 2**tries, 120) * random.uniform(1.0, 1.5))  # noqa: S311
    if problem.code in SITE_TROUBLE or problem.status in {401, 403}:
        return SITE_TROUBLE_WAIT
    return None
