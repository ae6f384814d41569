"""How long things take on this site: medians of what was made last, for expected times and next looks."""

from datetime import timedelta
from statistics import median

from django.core.cache import cache
from django.db.models import F

from templategen.models import ActionTemplate
from templategen.states import State

_LAST = 50
_KEEP_SECONDS = 60


def run_time() -> timedelta | None:
    """Median time from submit to template ID of the last ones; None before the first."""
    seconds: float | None = cache.get("estimates.run_time")
    if seconds is None:
        rows = ActionTemplate.objects.filter(state=State.READY, sent_at__isnull=False, ready_at__gt=F("sent_at"))
        times = rows.order_by("-pk").values_list("ready_at", "sent_at")[:_LAST]
        lasted = [(ready - sent).total_seconds() for ready, sent in times if ready and sent]
        seconds = median(lasted) if lasted else 0.0
        cache.set("estimates.run_time", seconds, _KEEP_SECONDS)
    return timedelta(seconds=seconds) if seconds else None
