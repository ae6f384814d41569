"""Templates and clips for the site's administrator: to look at only. Rows change in actions.py and pipeline.py."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from templategen.models import ActionTemplate, Clip, Event

if TYPE_CHECKING:  # Django's own classes take no type arguments when the program runs.
    Pages = admin.ModelAdmin[Any]
    Events = admin.TabularInline[Event, ActionTemplate]
    AnyPaginator = Paginator[Any]
else:
    Pages, Events, AnyPaginator = admin.ModelAdmin, admin.TabularInline, Paginator

# A list is paged as if it had at most so many rows: counting millions for each page would take seconds.
_MOST_COUNTED = 10_000


class BoundedPaginator(AnyPaginator):
    """Counts no further than _MOST_COUNTED; search and filter lead to what is older."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, up to the bound."""
        rows: Any = self.object_list
        return int(rows.order_by()[:_MOST_COUNTED].count())


class LookOnly(Pages):
    """A list and pages on which nothing can be changed."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


class EventInline(Events):
    """What happened, on the template's page."""

    model = Event
    fields = ("at", "kind", "start", "to", "attempt", "by", "detail")
    readonly_fields = ("at", "kind", "start", "to", "attempt", "by", "detail")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False


@admin.register(ActionTemplate)
class TemplateAdmin(LookOnly):
    """Templates, newest first."""

    list_display = ["name", "account", "state", "template_id", "created_at", "deleted_at"]
    list_filter = ["state"]
    list_select_related = ["account"]
    ordering = ["-pk"]
    # Whole IDs only: each has an index, and a part of a name would read every row.
    search_fields = ["template_id__exact", "task_id__exact"]
    search_help_text = _("A whole template ID or task ID")
    inlines = [EventInline]


@admin.register(Clip)
class ClipAdmin(LookOnly):
    """Clips, newest first."""

    list_display = ["file_name", "account", "size_bytes", "duration_s", "passed", "stored_at"]
    list_select_related = ["account"]
    ordering = ["-pk"]
    search_fields = ["object_key__exact"]
    search_help_text = _("A whole object key")
