"""What the administrator's pages share: lists that stay quick, pages to look at, and the log with its reasons."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
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
# What no page shows may not be asked for either: filter by filter it would be told letter by letter.
_SHOWN_NOWHERE = frozenset({"token_hash", "secret_ciphertext", "fingerprint", "key", "password"})
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
        """Not by what is shown nowhere."""
        return _SHOWN_NOWHERE.isdisjoint(lookup.split("__")) and super().lookup_allowed(lookup, value, request)


class LookOnly(Quick):
    """A list and pages on which nothing can be changed, by nobody."""

    # Any other order would read and sort every row.
    sortable_by = ()

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
