"""Templates: to look at, to find by any of their IDs, and to decide about one or a page of them."""

import contextlib
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy

from accounts.admin.base import LookOnly, LookOnlyInline
from templategen.admin import pipeline
from templategen.admin.base import Decides
from templategen.admin.stuck import row_of
from templategen.models import ActionTemplate, Event, FormerTask
from templategen.redact import redact, redact_within
from templategen.states import State

# Each has an index of its own, for rows that have one.
_IDS = ("template_id", "task_id", "submit_request_id", "request_id")
_MOST_FOUND = 50
# On a template's own page.
_MOST_EVENTS = 100


def told(event: Event) -> str:
    """An event's details in a line, without keys and signed URLs."""
    found = redact_within(event.detail)
    return ", ".join(f"{name}: {value}" for name, value in found.items()) if isinstance(found, dict) else ""


class InWords:
    """What events' lists show besides their own columns."""

    @admin.display(description=gettext_lazy("from"))
    def start_in_words(self, event: Event) -> str:
        """The state before, as people read it."""
        return _state(event.start)

    @admin.display(description=gettext_lazy("to"))
    def to_in_words(self, event: Event) -> str:
        """The state after."""
        return _state(event.to)

    @admin.display(description=gettext_lazy("Details"))
    def told(self, event: Event) -> str:
        """Ids, codes and messages, without keys and signed URLs."""
        return told(event)


def _state(value: str) -> str:
    return str(dict(State.choices).get(value, value))


class EventInline(InWords, LookOnlyInline):
    """What happened, on the template's page."""

    model = Event
    fields = ("at", "kind", "start_in_words", "to_in_words", "attempt", "by", "told")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """The newest: refusals for a passing cause can be thousands. The list of events has them all."""
        found: QuerySet[Event] = super().get_queryset(request).select_related("by")
        match = request.resolver_match
        # Its page is there, so that this is a template's number.
        template = int(unquote(match.kwargs["object_id"])) if match is not None else 0
        newest = Event.objects.filter(template=template).order_by("-pk").values_list("pk", flat=True)[:_MOST_EVENTS]
        return found.filter(pk__in=list(newest))


class FormerTaskInline(LookOnlyInline):
    """Tasks of earlier attempts: an ID that one of them made stands nowhere else."""

    model = FormerTask
    fields = (
        "attempt", "task_id", "status", "template_id", "video_duration", "request_id", "next_look_at", "until",
        "ended_at",
    )  # fmt: skip
    readonly_fields = fields


@admin.register(ActionTemplate)
class TemplateAdmin(Decides):
    """Templates, newest first."""

    list_display = ["name", "account", "state", "template_id", "created_at", "changed_at", "deleted_at"]
    list_filter = ["state"]
    list_select_related = ["account"]
    # Only that there is a search box; find_by_id is what searches.
    search_fields = ["template_id__exact"]
    search_help_text = gettext_lazy("A whole template ID, task ID, request ID, or the ID in its address")
    inlines = [FormerTaskInline, EventInline]
    change_form_template = "admin/templategen/actiontemplate/change_form.html"
    fieldsets = [
        (None, {"fields": ["name", "account", "clip", "public_id", "state", "created_at", "changed_at", "deleted_at"]}),
        (
            gettext_lazy("This attempt"),
            {"fields": [
                "attempt", "credential", "queued_at", "next_look_at", "step_tries", "claimed_at", "claimed_by",
                "sent_at", "call_over_at", "task_id", "submit_request_id", "running_at", "looked_at", "unknown_since",
                "ended_at",
            ]},
        ),
        (
            gettext_lazy("What came of it"),
            {"fields": [
                "template_id", "video_duration", "video_ratio", "request_id", "ready_at", "error_code", "said",
            ]},
        ),
    ]  # fmt: skip
    readonly_fields = ["public_id", "said"]

    @admin.display(description=gettext_lazy("Message"))
    def said(self, template: ActionTemplate) -> str:
        """The service's own words, without keys and signed URLs."""
        return redact(template.error_message)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Newest first; of one state those that came into it last, as the index has them."""
        return ("-changed_at", "-pk") if "state__exact" in request.GET else ("-pk",)

    def get_urls(self) -> list[URLPattern]:
        """The pipeline's page and its forms live beside the list."""
        return [*pipeline.urls(self.admin_site), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ActionTemplate], search_term: str
    ) -> tuple[QuerySet[ActionTemplate], bool]:
        """Rows that have the term as one of their IDs. Nothing else is searched: it would read every row."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(pk__in=find_by_id(term)), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the decisions that its state allows."""
        template = self.get_object(request, object_id)
        more: dict[str, Any] = {"may_decide": self.has_decide_permission(request)}
        if template is not None:
            more["row"] = row_of(template)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})


def find_by_id(term: str) -> list[int]:
    """Primary keys of templates that have, or in an earlier attempt had, this ID; each question has its own index."""
    found: set[int] = set()
    for name in _IDS:
        # Said twice, for the indexes hold only rows that have the ID.
        has_one = ~Q(**{name: ""})
        found |= set(ActionTemplate.objects.filter(has_one, **{name: term}).values_list("pk", flat=True)[:_MOST_FOUND])
    earlier = Event.objects.filter(~Q(task_id=""), task_id=term)
    found |= set(earlier.values_list("template_id", flat=True)[:_MOST_FOUND])
    former = FormerTask.objects.exclude(template_id="").filter(template_id=term)
    found |= set(former.values_list("origin_id", flat=True)[:_MOST_FOUND])
    found |= set(FormerTask.objects.filter(task_id=term).values_list("origin_id", flat=True))
    with contextlib.suppress(ValueError):
        found |= set(ActionTemplate.objects.filter(public_id=UUID(term)).values_list("pk", flat=True))
    return sorted(found)


@admin.register(Event)
class EventAdmin(InWords, LookOnly):
    """What happened to templates, newest first."""

    fields = ("at", "template", "kind", "start_in_words", "to_in_words", "attempt", "task_id", "by", "told")
    list_display = fields
    readonly_fields = fields
    list_select_related = ["template", "by"]
    ordering = ["-pk"]
    # Only that there is a search box; find_by_id is what searches.
    search_fields = ["task_id__exact"]
    search_help_text = TemplateAdmin.search_help_text

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        """Everything that happened to the templates with that ID."""
        term = search_term.strip()
        return (queryset.filter(template__in=find_by_id(term)) if term else queryset), False
