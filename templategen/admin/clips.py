"""Clips, to look at, with the decisions about their templates."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.admin.base import LookOnlyInline
from templategen.admin.base import Decides
from templategen.admin.templates import find_by_id
from templategen.models import ActionTemplate, Clip, TemplateQuerySet


class TemplateInline(LookOnlyInline):
    """What was made of it."""

    model = ActionTemplate
    fields = ("name", "state", "template_id", "task_id", "changed_at")
    readonly_fields = fields
    show_change_link = True


@admin.register(Clip)
class ClipAdmin(Decides):
    """Clips, newest first."""

    list_display = ["file_name", "account", "size_bytes", "duration_s", "passed", "stored_at"]
    list_select_related = ["account"]
    fields = (
        "file_name", "account", "object_key", "size_bytes", "duration_s", "created_at", "stored_at", "checked_at",
        "passed",
    )  # fmt: skip
    ordering = ["-pk"]
    inlines = [TemplateInline]
    # Only that there is a search box; get_search_results is what searches.
    search_fields = ["object_key__exact"]
    search_help_text = _("A whole object key, template ID, task ID, request ID, or the ID in a template's address")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Clip], search_term: str
    ) -> tuple[QuerySet[Clip], bool]:
        """By its own key, or by an ID of a template. Nothing else is searched: it would read every row."""
        term = search_term.strip()
        if not term:
            return queryset, False
        clips = ActionTemplate.objects.filter(pk__in=find_by_id(term)).values_list("clip_id", flat=True)
        return queryset.filter(Q(object_key=term) | Q(pk__in=list(clips))), False

    def templates_of(self, rows: Any) -> TemplateQuerySet:
        """Those that are made of the clips."""
        return ActionTemplate.objects.filter(clip__in=rows)
