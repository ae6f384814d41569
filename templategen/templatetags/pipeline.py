"""What the administrator's pages show of the pipeline."""

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from templategen import credential_status, standing

register = template.Library()


@register.inclusion_tag("admin/_pipeline_banner.html")
def pipeline_banner() -> dict[str, Any]:
    """What must not wait until somebody happens to look: alarms and paused credentials."""
    statuses = credential_status.paused()
    names = credential_status.names_of(statuses) if statuses else {}
    paused = [(names[status.key], status.pause_code) for status in statuses]
    return {"paused": paused, "unread": standing.alarm_count(now=timezone.now())}


@register.filter
def long(seconds: float | None) -> str:
    """How long something has lasted, in its largest unit; empty when that is not known."""
    if seconds is None:
        return ""
    span = timedelta(seconds=max(seconds, 0))
    if span < timedelta(minutes=2):
        return _("%(seconds)d s") % {"seconds": span.total_seconds()}
    if span < timedelta(hours=2):
        return _("%(minutes)d min") % {"minutes": span.total_seconds() // 60}
    if span < timedelta(days=2):
        return _("%(hours)d h") % {"hours": span.total_seconds() // 3600}
    return ngettext("%(days)d day", "%(days)d days", span.days) % {"days": span.days}
