"""What the pages for looking share."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

from accounts.models import User

if TYPE_CHECKING:  # Django's own classes take no type arguments when the program runs.
    Pages = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:
    Pages, AnyPaginator = admin.ModelAdmin, Paginator

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


def staff_of(request: HttpRequest) -> User:
    """Who asks: the admin site has let nobody else in."""
    assert isinstance(request.user, User)  # noqa: S101
    return request.user
