"""Filters of the list of accounts: each one query on counters or an index."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from accounts.thresholds import FULL, NEAR, at_least

if TYPE_CHECKING:
    Accounts = QuerySet[Account]
else:
    Accounts = QuerySet


class UsageFilter(admin.SimpleListFilter):
    """Near a limit, or at it."""

    title = _("usage")
    parameter_name = "usage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """From so many percent."""
        return [(str(NEAR), _("80 % and more")), (str(FULL), _("At a limit"))]

    def queryset(self, request: HttpRequest, queryset: Accounts) -> Accounts:
        """What another value asks for is not there, and filters nothing."""
        value = self.value()
        if value not in {str(NEAR), str(FULL)}:
            return queryset
        return at_least(queryset, int(value), now=timezone.now())


class OwnKeyFilter(admin.SimpleListFilter):
    """Whose Alibaba key it uses."""

    title = _("Alibaba key")
    parameter_name = "own_key"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Own, or the site's."""
        return [("1", _("Its own")), ("0", _("No own key"))]

    def queryset(self, request: HttpRequest, queryset: Accounts) -> Accounts:
        """By ``has_own_key``, which the list has annotated."""
        value = self.value()
        own: dict[str, Any] = {"has_own_key": value == "1"}
        return queryset.filter(**own) if value in {"0", "1"} else queryset
