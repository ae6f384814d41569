"""Accounts: what they may use and have used, who is in them, and what staff decide about them."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import administration, credentials, history, ledger
from accounts.admin import account_decisions
from accounts.admin.base import Quick, staff_of
from accounts.admin.decisions import decide
from accounts.admin.filters import OwnKeyFilter, UsageFilter
from accounts.admin.meters import Bar, Line, bars_of, cell
from accounts.admin.reasons import FIELD, Members, NewMembers, Reasoned, WithReason
from accounts.models import (
    Account,
    AccountEvent,
    ApiToken,
    Credential,
    LedgerEntry,
    Quota,
    StorageUse,
    UsageMonth,
)
from accounts.usage import meters, usage_of

_LATEST = 10


def _action(name: str, permission: str) -> Callable[..., HttpResponse | None]:
    """The list's action that leads to a decision's form."""
    decision = account_decisions.DECISIONS[name]

    @admin.action(description=decision.title, permissions=[permission])
    def act(pages: "AccountAdmin", request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        return decide(pages, request, queryset, decision, action=name)

    act.__name__ = name
    return act


class AccountForm(WithReason):
    """Name and address; everything else is decided with forms of its own."""

    class Meta:
        model = Account
        fields = ("name", "slug")


@admin.register(Account)
class AccountAdmin(Reasoned, Quick):
    """Accounts. Status, limits and grants change by decisions, each with its reason."""

    form = AccountForm
    # No more than fits beside the filters on a small screen; when it was made stands on its page.
    list_display = ["named", "status", "templates_bar", "seconds_bar", "storage_bar", "own_key"]
    list_filter = [UsageFilter, "status", OwnKeyFilter]
    search_fields = ["name", "slug"]
    search_help_text = gettext_lazy("Name, short name, or a member's whole e-mail address")
    change_form_template = "admin/accounts/account/change_form.html"
    actions = ["grant", "set_limits", "suspend", "reactivate", "recompute", "revoke_tokens", "delete"]
    grant = _action("grant", "change")
    set_limits = _action("set_limits", "change")
    suspend = _action("suspend", "change")
    reactivate = _action("reactivate", "change")
    recompute = _action("recompute", "change")
    revoke_tokens = _action("revoke_tokens", "change")
    delete = _action("delete", "remove")

    # --- who may ---

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not by Django's own pages, which ask for no reason and would list a million rows."""
        return False

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Who may decide that an empty account goes."""
        return request.user.has_perm("accounts.delete_account")

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """With what the list shows, in one further query."""
        month = ledger.month_of(timezone.now())
        in_use = Credential.objects.filter(account=OuterRef("pk"), retired_at=None)
        this_month = Prefetch("months", UsageMonth.objects.filter(month=month), to_attr="this_month")
        rows: Any = super().get_queryset(request).annotate(has_own_key=Exists(in_use))
        found: QuerySet[Account] = rows.select_related("quota", "storage").prefetch_related(this_month)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Account], search_term: str
    ) -> tuple[QuerySet[Account], bool]:
        """By name; a whole address finds the accounts of its user."""
        if "@" in search_term:
            return queryset.filter(memberships__user__email=search_term.strip().lower()), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def named(self, account: Account) -> str:
        """With the short name, by which it is found in addresses and records."""
        return format_html('{}<br><small class="account-slug">{}</small>', account.name, account.slug)

    @admin.display(description=gettext_lazy("templates"))
    def templates_bar(self, account: Account) -> str:
        """Held and used of this month's limit."""
        return cell(_bars(account)[0])

    @admin.display(description=gettext_lazy("video seconds"))
    def seconds_bar(self, account: Account) -> str:
        """Held and used of this month's limit."""
        return cell(_bars(account)[1])

    @admin.display(description=gettext_lazy("storage"))
    def storage_bar(self, account: Account) -> str:
        """Held and used of the limit."""
        return cell(_bars(account)[2])

    @admin.display(description=gettext_lazy("own key"), boolean=True)
    def own_key(self, account: Account) -> bool:
        """Whether it has brought an Alibaba key of its own."""
        return bool(account.has_own_key)  # type: ignore[attr-defined]  # annotated above

    # --- the page of one account ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A reason only where something can be changed."""
        if obj is None:
            return [(None, {"fields": ["name", "slug", FIELD]})]
        reason = [FIELD] if self.has_change_permission(request, obj) else []
        return [(None, {"fields": ["name", "slug", "created_at", *reason]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """When it was made stays."""
        return ["created_at"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A short name is proposed for new accounts; of others it is the address, and stays."""
        return {} if obj else {"slug": ["name"]}

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new account has nobody yet."""
        return [Members, NewMembers] if obj else [NewMembers]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With usage, decisions, and the latest records."""
        account = self.get_object(request, object_id)
        more = self._about(request, account) if isinstance(account, Account) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def _about(self, request: HttpRequest, account: Account) -> dict[str, Any]:
        usage = usage_of(account.pk)
        return {
            "bars": bars_of(usage),
            "usage": usage,
            "own_limits": Quota.objects.filter(account=account).first(),
            "decisions": self._decisions(request, account),
            "credential": credentials.in_use(account.pk),
            "entries": [
                Line(entry) for entry in LedgerEntry.objects.filter(account=account).select_related("by")[:_LATEST]
            ],
            "events": history.latest(account)[:_LATEST],
            "token_count": ApiToken.objects.filter(account=account, revoked_at=None).count(),
            "lacks_owner": _lacks_owner(account),
        }

    def _decisions(self, request: HttpRequest, account: Account) -> list[tuple[str, str]]:
        """Names and labels of the actions that make sense for it now."""
        is_suspended = account.status == Account.Status.SUSPENDED
        senseless = {"suspend" if is_suspended else "reactivate"}
        if not administration.can_be_deleted(account):
            senseless.add("delete")
        if not ApiToken.objects.filter(account=account, revoked_at=None).exists():
            senseless.add("revoke_tokens")
        if credentials.in_use(account.pk) is None:
            # Of templategen/admin, which adds it.
            senseless.add("check_key")
        actions = (self.get_actions(request) or {}).items()
        return [(name, str(about[2])) for name, about in actions if about and name not in senseless]

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        """Only what the form has: the status may have been changed meanwhile."""
        by = staff_of(request)
        if not change:
            obj.save()
            history.note(obj, AccountEvent.Kind.ACCOUNT_MADE, by=by, about=obj.name, reason=form.cleaned_data[FIELD])
            return
        changed = [name for name in form.changed_data if name != FIELD]
        if changed:
            before = Account.objects.get(pk=obj.pk)
            obj.save(update_fields=changed)
            administration.note_rename(before, obj, by=by, reason=form.cleaned_data[FIELD])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        """Says so where nobody owns it."""
        super().save_related(request, form, formsets, change)
        if _lacks_owner(form.instance):
            self.message_user(request, _("This account has no owner who can sign in."), messages.WARNING)


def _lacks_owner(account: Account) -> bool:
    return administration.without_owner(Account.objects.filter(pk=account.pk)).exists()


def _bars(account: Account) -> list[Bar]:
    """From what the list has read. Reckoned once for its three columns."""
    known: list[Bar] | None = getattr(account, "_bars", None)
    if known is None:
        month = ledger.month_of(timezone.now())
        rows: list[UsageMonth] = account.this_month  # type: ignore[attr-defined]  # prefetched above
        stored = getattr(account, "storage", None) or StorageUse()
        limits = ledger.effective(getattr(account, "quota", None) or Quota())
        known = bars_of(meters(rows[0] if rows else UsageMonth(), stored, limits, month=month))
        account._bars = known  # type: ignore[attr-defined]  # noqa: SLF001
    return known
