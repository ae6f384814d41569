"""An account's API tokens: owners make them, see when each was last used, and revoke them."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import tokens
from accounts.access import account_for
from accounts.forms import TokenForm
from accounts.models import Account
from accounts.pages.person import person
from accounts.permissions import Permission


@never_cache
@require_http_methods(["GET", "POST"])
def tokens_page(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: the list. POST makes one, and this one answer shows it: no redirect, for it would have to be kept."""
    account = account_for(request, slug, Permission.MANAGE)
    form = TokenForm(request.POST or None)
    if request.method == "GET":
        return _page(request, account, form)
    if not form.is_valid():
        return _page(request, account, form, status=422)
    token, secret = tokens.make(account, user=person(request), name=form.cleaned_data["name"])
    return _page(request, account, TokenForm(), made=token.name, secret=secret, status=201)


def _page(request: HttpRequest, account: Account, form: TokenForm, *, status: int = 200, **made: str) -> HttpResponse:
    context = {
        "account": account,
        "form": form,
        "tokens": tokens.tokens_of(account),
        # By address: the API is not this app's.
        "example": f'curl -H "Authorization: Bearer $TEMPLATEGEN_TOKEN" {settings.SITE_URL}/api/v1/templates/',
        **made,
    }
    return render(request, "accounts/tokens.html", context, status=status)


@require_POST
def revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """From now on it opens nothing."""
    account = account_for(request, slug, Permission.MANAGE)
    token = account.tokens.select_related("account").filter(pk=pk).first()
    if token is None:
        raise Http404
    tokens.revoke(token, by=person(request))
    messages.success(request, _("The token “%(name)s” is revoked.") % {"name": token.name})
    return redirect("accounts:tokens", slug=account.slug)
