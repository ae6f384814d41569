"""What the administrator's pages share: lists that stay quick, pages to look at, and the log with its reasons."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import BadRequest, ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from accounts.models import User

if TYPE_CHECKING:  # Django's own classes take no type arguments when the program runs.
    Pages = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
    Inline = admin.TabularInline[Any, Any]
else:
    Pages, AnyPaginator, Inline = admin.ModelAdmin, Paginator, admin.TabularInline

# A list is paged as if it had at most so many rows: counting millions for each page would take seconds.
_MOST_COUNTED = 10_000
# From an account's page to the lists of what is its own.
_OF_ACCOUNT = "account__id__exact"
# A whole mail address fits.
_LONGEST_TERM = 300
LONGEST_REASON = 300
_LONGEST_NAME = 200


class BoundedPaginator(AnyPaginator):
    """Counts no further than _MOST_COUNTED; search and filter lead to what is older."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, up to the bound."""
        rows: Any = self.object_list
        return int(rows.order_by()[:_MOST_COUNTED].count())


class Quick(Pages):
    """A list that reads no more than its page, however many rows there are."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # Counts beside each choice of a filter would read everything.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what the list's own filters, and links of these pages, ask for.

        Any other question reads every row, tells letter by letter what no page shows, or is none that the database
        understands: Django hands it on as it is.
        """
        return lookup == _OF_ACCOUNT or any(lookup in _asked_by(each) for each in self.get_list_filter(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the term's beginning: each word is a condition, and of a thousand SQLite makes no query."""
        return super().get_search_results(request, queryset, search_term[:_LONGEST_TERM])

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:  # type: ignore[override]  # the stubs ask for more than Django
        """400 for a choice of rows that are none: Django hands it on as it is."""
        pk = self.opts.pk
        try:
            for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME):
                pk.to_python(chosen)
        except ValidationError as problem:
            raise BadRequest("a choice of rows that are none") from problem
        return super().response_action(request, queryset)


def _asked_by(each: Any) -> tuple[str, ...]:
    """The names by which a filter of a list asks: of one by a field, and of one of our own."""
    return (f"{each}__exact", f"{each}__isnull") if isinstance(each, str) else (each.parameter_name,)


class _OneOrder(ChangeList):
    """A list in the order of its page, also where the address asks for another."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Django looks at ``sortable_by`` for the headings only."""
        self.params.pop(ORDER_VAR, None)
        return list(super().get_ordering(request, queryset))


class LookOnly(Quick):
    """A list and pages on which nothing can be changed, by nobody."""

    # Any other order would read and sort every row.
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **values: Any) -> type[ChangeList]:
        """Whose order nobody chooses."""
        return _OneOrder

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


class LookOnlyInline(Inline):
    """Rows on another row's page on which nothing can be changed, by nobody."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


def staff_of(request: HttpRequest) -> User:
    """Who asks: the admin site has let nobody else in."""
    assert isinstance(request.user, User)  # noqa: S101
    return request.user


def with_reason(told: str, reason: str) -> str:
    """What was done and why, for the admin's log."""
    reason = reason.strip()[:LONGEST_REASON]
    return _("%(told)s Reason: %(reason)s") % {"told": told, "reason": reason} if reason else told


def log(by: User, row: Any, text: str, *, flag: int, named: str = "") -> None:
    """Into the admin's own log, which the row's page shows as its history; ``named`` where it is not what it says."""
    kind = ContentType.objects.get_for_model(row, for_concrete_model=False)
    LogEntry.objects.create(
        user=by,
        content_type=kind,
        object_id=row.pk,
        object_repr=(named or str(row))[:_LONGEST_NAME],
        action_flag=flag,
        change_message=text,
    )
