"""Accounts' own Alibaba keys: their last characters and fingerprints to look at, and whether they work."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.accounts import AccountAdmin
from accounts.admin.base import LookOnly, Pages, log, staff_of
from accounts.admin.decisions import some_of
from accounts.models import Account, Credential
from templategen import credentials

# Each asks Alibaba, and a person waits for the page.
MOST_CHECKED = 5
_FINGERPRINT_SHOWN = 12


@admin.register(Credential)
class CredentialAdmin(LookOnly):
    """Newest first. The key itself is shown to nobody."""

    list_display = [
        "hint", "account", "short_fingerprint", "alibaba_uid", "workspace", "check_result", "check_code", "checked_at",
        "created_by", "created_at", "retired_at",
    ]  # fmt: skip
    fields = (
        "account", "hint", "short_fingerprint", "alibaba_uid", "workspace", "base_url", "check_result", "check_code",
        "checked_at", "created_by", "created_at", "retired_at",
    )  # fmt: skip
    readonly_fields = fields
    list_select_related = ["account", "created_by"]
    ordering = ["-pk"]
    search_fields = ["account__slug__exact", "hint__exact", "alibaba_uid__exact"]
    search_help_text = gettext_lazy(
        "An account's short name, a key's last characters, or an Alibaba account's whole ID"
    )
    actions = ["check_keys"]

    @admin.display(description=gettext_lazy("fingerprint"))
    def short_fingerprint(self, credential: Credential) -> str:
        """Enough to tell two apart."""
        return credential.fingerprint[:_FINGERPRINT_SHOWN]

    def has_check_permission(self, request: HttpRequest) -> bool:
        """Fields cannot be changed by anybody; who may change credentials may have them checked."""
        return request.user.has_perm("accounts.change_credential")

    @admin.action(description=gettext_lazy("Check the key"), permissions=["check"])
    def check_keys(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        """Asks Alibaba for a list, which costs nothing."""
        check_all(self, request, queryset)


admin.site.unregister(Account)


@admin.register(Account)
class AccountAdminWithKeys(AccountAdmin):
    """Accounts, whose keys can be checked: accounts itself knows nothing of Alibaba."""

    actions = [*AccountAdmin.actions, "check_key"]

    def has_check_permission(self, request: HttpRequest) -> bool:
        """As on the key's own page."""
        return request.user.has_perm("accounts.change_credential")

    @admin.action(description=gettext_lazy("Check the Alibaba key"), permissions=["check"])
    def check_key(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Of those that have one of their own."""
        check_all(self, request, Credential.objects.filter(account__in=queryset, retired_at=None))


def check_all(pages: Pages, request: HttpRequest, rows: QuerySet[Any]) -> None:
    """Ask about each, say what came of it, and write it into the log of key and account."""
    chosen = some_of(pages, request, rows.select_related("account"), MOST_CHECKED)
    if chosen == []:
        pages.message_user(request, _("There is no own key to check: the site's is used."), messages.WARNING)
    for credential in chosen or ():
        checked = credentials.check_now(credential)
        words = {"key": str(credential), "account": credential.account.name, "text": checked.text}
        told = _("Key %(key)s of %(account)s checked: %(text)s") % words
        for row in (credential, credential.account):
            log(staff_of(request), row, told, flag=CHANGE)
        pages.message_user(request, told, messages.SUCCESS if checked.ok else messages.WARNING)
