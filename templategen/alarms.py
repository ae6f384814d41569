"""Results that may be gone soon: DashScope keeps them about 24 hours (alibaba.md 3.1), and nobody else has them."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.policy import RESULTS_KEPT, skew
from templategen.states import FOR_A_PERSON, WATCHED, State


def unread(now: datetime) -> TemplateQuerySet:
    """Templates whose task ended more than RETENTION_ALARM_HOURS ago, or may have, and whose result is not read yet."""
    bound = now - timedelta(hours=settings.RETENTION_ALARM_HOURS)
    seen_last = Q(looked_at__lte=bound) | Q(looked_at=None, sent_at__lte=bound)
    # Sent in the future: a clock was wrong, so that nobody knows when it ended.
    seen_last |= Q(sent_at__gt=now + skew())
    open_tasks = Q(state__in=WATCHED) & (Q(ended_at__lte=bound) | seen_last)
    # A lost one is asked for, and not found: it alarms by its age as long as it may come back, counted from when it
    # was last known. Then it is lost for good, which is no alarm any more.
    kept = Q(sent_at__gt=now - RESULTS_KEPT) | Q(looked_at__gt=now - RESULTS_KEPT) | Q(ended_at__gt=now - RESULTS_KEPT)
    lost = Q(state=State.LOST, sent_at__lte=bound) & kept
    # Nobody decided yet: its task may be one that was found, or one that nobody saw.
    undecided = Q(state=State.UNCONFIRMED, error_code=FOR_A_PERSON) & (
        Q(sent_at__lte=bound, sent_at__gt=now - RESULTS_KEPT)
        | Q(sent_at=None, changed_at__lte=bound, changed_at__gt=now - RESULTS_KEPT)
    )
    return ActionTemplate.objects.filter(open_tasks | lost | undecided)
