"""Records to look at: the ledger and its counters, histories, invitations, API tokens, the admin's own log.

Nobody adds, changes or deletes any of them, superusers neither. Invitations and tokens can be ended, with a reason.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import ledger, members, tokens
from accounts.admin.base import LookOnly
from accounts.admin.decisions import Decision, decide
from accounts.admin.meters import Line
from accounts.models import AccountEvent, ApiToken, Invitation, LedgerEntry, StorageUse, UsageMonth, User

# A template that was tried more often is found by its later references only.
_MOST_ATTEMPTS = 30
_STEPS = tuple(LedgerEntry.Kind.values)


class OfAccount(LookOnly):
    """Found by the account's short name; newest first."""

    list_select_related = ["account"]
    ordering = ["-pk"]
    search_fields = ["account__slug__exact"]
    search_help_text = gettext_lazy("An account's whole short name")


@admin.register(LedgerEntry)
class LedgerAdmin(LookOnly):
    """The ledger, newest first."""

    list_display = ["at", "account", "kind", "month", "templates", "seconds", "bytes", "by", "why", "reference"]
    list_select_related = ["account", "by"]
    ordering = ["-pk"]
    # Only that there is a search box; get_search_results is what searches.
    search_fields = ["reference__exact"]
    search_help_text = gettext_lazy("An account's short name, a whole reference, or the ID in a template's address")

    @admin.display(description=gettext_lazy("templates"))
    def templates(self, entry: LedgerEntry) -> str:
        """What it adds to the month's counters."""
        return Line(entry).templates

    @admin.display(description=gettext_lazy("video seconds"))
    def seconds(self, entry: LedgerEntry) -> str:
        """What it adds to the month's counters."""
        return Line(entry).seconds

    @admin.display(description=gettext_lazy("reason"))
    def why(self, entry: LedgerEntry) -> str:
        """A grant's reason, or what became of an attempt."""
        return Line(entry).reason

    @admin.display(description=gettext_lazy("bytes"))
    def bytes(self, entry: LedgerEntry) -> str:
        """What it adds to the counters of storage."""
        return Line(entry).bytes

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """By an index each. Nothing else is searched: it would read every row."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if ":" in term or _uuid(term):
            return queryset.filter(reference__in=_references(term)), False
        return queryset.filter(account__slug=term), False


def _references(term: str) -> list[str]:
    template = _uuid(term)
    if template is None:
        return [term]
    attempts = [ledger.template_reference(template, attempt) for attempt in range(1, _MOST_ATTEMPTS + 1)]
    return [f"{attempt}:{step}" for attempt in attempts for step in _STEPS]


def _uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


@admin.register(UsageMonth)
class UsageMonthAdmin(OfAccount):
    """Counters of months."""

    list_display = [
        "account", "month", "templates_held", "templates_used", "templates_granted", "ms_held", "ms_used", "ms_granted",
    ]  # fmt: skip


@admin.register(StorageUse)
class StorageUseAdmin(OfAccount):
    """Counters of stored bytes."""

    list_display = ["account", "bytes_held", "bytes_used"]


@admin.register(AccountEvent)
class AccountEventAdmin(OfAccount):
    """Who did what in accounts; here staff is named."""

    list_display = ["at", "account", "kind", "about", "role_before", "role", "by", "by_staff", "reason"]
    list_select_related = ["account", "by"]


def _take_back(invitation: Invitation, by: User, given: dict[str, Any]) -> str:
    return _("Taken back.") if members.revoke(invitation, by=by, reason=given["reason"]) else ""


TAKE_BACK = Decision(
    title=gettext_lazy("Take back"),
    about=gettext_lazy("The link in the mail opens nothing any more."),
    button=gettext_lazy("Take back"),
    carry_out=_take_back,
)


@admin.register(Invitation)
class InvitationAdmin(OfAccount):
    """Places offered by mail. The link is in the mail only."""

    fields = (
        "email", "account", "role", "invited_by", "created_at", "mailed_at", "expires_at", "accepted_at", "revoked_at",
    )  # fmt: skip
    list_display = fields
    list_select_related = ["account", "invited_by"]
    search_fields = ["account__slug__exact", "email__exact"]
    search_help_text = gettext_lazy("An account's whole short name, or a whole e-mail address")
    actions = ["take_back"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Fields cannot be changed by anybody; who may change invitations may end them."""
        return request.user.has_perm("accounts.change_invitation")

    @admin.action(description=TAKE_BACK.title, permissions=["decide"])
    def take_back(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        """With a reason."""
        return decide(self, request, queryset.select_related("account"), TAKE_BACK, action="take_back")


def _revoke(token: ApiToken, by: User, given: dict[str, Any]) -> str:
    return _("Revoked.") if tokens.revoke(token, by=by, reason=given["reason"]) else ""


REVOKE = Decision(
    title=gettext_lazy("Revoke"),
    about=gettext_lazy("From now on the token opens nothing."),
    button=gettext_lazy("Revoke"),
    carry_out=_revoke,
)


@admin.register(ApiToken)
class ApiTokenAdmin(OfAccount):
    """API tokens, known by their first characters."""

    fields = ("name", "prefix", "account", "user", "created_at", "used_at", "revoked_at")
    list_display = fields
    list_select_related = ["account", "user"]
    actions = ["revoke"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Fields cannot be changed by anybody; who may change tokens may end them."""
        return request.user.has_perm("accounts.change_apitoken")

    @admin.action(description=REVOKE.title, permissions=["decide"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> HttpResponse | None:
        """With a reason."""
        return decide(self, request, queryset.select_related("account"), REVOKE, action="revoke")


@admin.register(LogEntry)
class LogAdmin(LookOnly):
    """What staff did here, and why."""

    fields = ("action_time", "user", "content_type", "object_repr", "what", "change_message_text")
    list_display = fields
    readonly_fields = fields
    list_select_related = ["user", "content_type"]
    ordering = ["-pk"]
    search_fields = ["user__email__exact"]
    search_help_text = gettext_lazy("The whole e-mail address of who did it")

    @admin.display(description=gettext_lazy("what"))
    def what(self, entry: LogEntry) -> str:
        """Added, changed or deleted."""
        return str(entry.get_action_flag_display())

    @admin.display(description=gettext_lazy("details"))
    def change_message_text(self, entry: LogEntry) -> str:
        """In words, with the reason."""
        return entry.get_change_message()
