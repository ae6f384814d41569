"""Clips, to look at."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from templategen.admin.base import LookOnly
from templategen.models import Clip


@admin.register(Clip)
class ClipAdmin(LookOnly):
    """Clips, newest first."""

    list_display = ["file_name", "account", "size_bytes", "duration_s", "passed", "stored_at"]
    list_select_related = ["account"]
    sortable_by = ()
    fields = (
        "file_name", "account", "object_key", "size_bytes", "duration_s", "created_at", "stored_at", "checked_at",
        "passed",
    )  # fmt: skip
    ordering = ["-pk"]
    search_fields = ["object_key__exact"]
    search_help_text = _("A whole object key")
