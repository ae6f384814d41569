"""An account's own Alibaba API key: entered, checked, replaced, removed by its owners; shown to nobody."""

import re
from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import credentials
from accounts.models import Account, Credential
from accounts.pages.person import person
from accounts.permissions import Permission
from templategen import access, credential_status
from templategen.clients.build import may_call
from templategen.credentials import check_key, check_now, learn_owner, owner_of
from templategen.models import ActionTemplate
from templategen.states import AT_SERVICE
from templategen.web.hold import hold_of

_SHOWN = 8
_KEY = re.compile(r"[!-~]{8,200}")
_WORKSPACE = re.compile(r"[A-Za-z0-9_-]*")


class CredentialForm(forms.Form):
    """What an owner brings. The key is never put back into the page."""

    api_key = forms.CharField(
        label=gettext_lazy("API key"),
        help_text=gettext_lazy("From Model Studio's console, of the Beijing region. It is stored encrypted."),
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    workspace = forms.CharField(
        label=gettext_lazy("Workspace ID"),
        help_text=gettext_lazy("Only if the key belongs to another workspace than the default one."),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    base_url = forms.CharField(
        label=gettext_lazy("Address of the API"),
        help_text=gettext_lazy("Only if the workspace has a host of its own; it ends with /api/v1."),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.USE_SANDBOX:
            self.fields["api_key"].help_text = _("One of the sandbox's keys. It is stored encrypted.")
        self.fields["base_url"].widget.attrs["placeholder"] = settings.DASHSCOPE_BASE_URL

    def clean_api_key(self) -> str:
        """As it goes into a header."""
        key = str(self.cleaned_data["api_key"])
        if not _KEY.fullmatch(key):
            raise forms.ValidationError(_("This is no API key. Copy it whole, without spaces, from the console."))
        return key

    def clean_workspace(self) -> str:
        """As it goes into a header."""
        workspace = str(self.cleaned_data["workspace"])
        if not _WORKSPACE.fullmatch(workspace):
            raise forms.ValidationError(_("A workspace ID has only letters, digits, hyphens and underscores."))
        return workspace

    def clean_base_url(self) -> str:
        """One of Alibaba's, or the site's own: else the server could be made to call anything."""
        base_url = str(self.cleaned_data["base_url"]).rstrip("/")
        if not may_call(base_url):
            hosts = [] if settings.USE_SANDBOX else settings.DASHSCOPE_ALLOWED_HOSTS
            allowed = ", ".join([settings.DASHSCOPE_BASE_URL, *(f"https://{host}/api/v1" for host in hosts)])
            text = _("This address is not allowed. Leave the field empty, or use one of these: %(allowed)s")
            raise forms.ValidationError(text % {"allowed": allowed})
        return base_url


@never_cache
@sensitive_post_parameters("api_key")
@require_http_methods(["GET", "POST"])
def credential(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: what is in use, and the form. POST: the key is checked with DashScope, and only one that works is stored."""
    account = access.account_for(request, slug, Permission.MANAGE if request.method == "POST" else Permission.REVOKE)
    form = CredentialForm(request.POST if request.method == "POST" else None)
    if request.method == "GET":
        return _page(request, account, form)
    if not form.is_valid():
        return _page(request, account, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    secret = form.cleaned_data["api_key"]
    rest = {name: form.cleaned_data[name] for name in ("workspace", "base_url")}
    checked = check_key(secret, **rest)
    if not checked.ok:
        form.add_error("api_key", _("%(text)s Nothing was changed.") % {"text": checked.text})
        status = HTTPStatus.UNPROCESSABLE_ENTITY if checked.sure else HTTPStatus.SERVICE_UNAVAILABLE
        return _page(request, account, form, status=status)
    uid = checked.alibaba_uid or owner_of(credentials.fingerprint_of(secret))
    stored = credentials.replace(account, secret=secret, alibaba_uid=uid, by=person(request), **rest)
    learn_owner(stored.fingerprint, uid)
    text = _("Alibaba takes the key. From now on templates are made with the one that ends with %(hint)s.")
    if settings.USE_SANDBOX:
        text = _("The sandbox takes the key. From now on templates are made with the one that ends with %(hint)s.")
    messages.success(request, text % {"hint": stored.hint})
    return redirect("web:credential", slug=account.slug)


@require_POST
def check_credential(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask DashScope now whether it takes the key; one that works again goes on at once."""
    account = access.account_for(request, slug, Permission.MANAGE)
    own = credentials.in_use(account.pk)
    if own is not None:
        checked = check_now(own)
        if checked.ok:
            credential_status.resume(own.pk)
        (messages.success if checked.ok else messages.error)(request, checked.text)
    return redirect("web:credential", slug=account.slug)


@require_http_methods(["GET", "POST"])
def remove_credential(request: HttpRequest, slug: str) -> HttpResponse:
    """GET asks; POST goes back to the site's key."""
    account = access.account_for(request, slug, Permission.REVOKE)
    own = credentials.in_use(account.pk)
    if own is None:
        return redirect("web:credential", slug=account.slug)
    if request.method == "GET":
        return render(request, "accounts/credential_remove.html", {"account": account, "own": own})
    if credentials.retire(account, by=person(request)):
        messages.success(request, _("The key is removed. From now on templates are made with the site's key."))
    return redirect("web:credential", slug=account.slug)


def _page(
    request: HttpRequest, account: Account, form: CredentialForm, *, status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    own = credentials.in_use(account.pk)
    hold = hold_of(account)
    former = ActionTemplate.objects.of(account).filter(state__in=AT_SERVICE, credential__retired_at__isnull=False)
    context = {
        "account": account,
        "form": form,
        "own": own,
        "fingerprint": own.fingerprint[:_SHOWN] if own else "",
        "is_refused": own is not None and own.check_result == Credential.Check.REFUSED,
        "trouble": hold.why if hold is not None and hold.is_own else None,
        "former": former.count(),
        "sandbox_key": settings.DASHSCOPE_API_KEY if settings.USE_SANDBOX else "",
    }
    return render(request, "accounts/credential.html", context, status=status)
