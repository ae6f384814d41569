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
from accounts.credentials import sealed, unsealed
from accounts.forms import TokenForm
from accounts.models import Account
from accounts.pages.person import person
from accounts.permissions import Permission

# What was just made, in the session of who made it: the next page shows it and forgets it.
_MADE = "token_made"
_SHOWN_WITHIN = 600


@never_cache
@require_http_methods(["GET", "POST"])
def tokens_page(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: the list, once with the token that was just made. POST makes one, and leads to the list."""
    account = account_for(request, slug, Permission.MANAGE if request.method == "POST" else Permission.REVOKE)
    form = TokenForm(request.POST or None)
    if request.method == "GET":
        made, secret = _just_made(request, account)
        return _page(request, account, form, made=made, secret=secret)
    if not form.is_valid():
        return _page(request, account, form, status=422)
    token, secret = tokens.make(account, user=person(request), name=form.cleaned_data["name"])
    # Sessions lie in the database, in which no token is to be read.
    request.session[_MADE] = {"token": token.pk, "sealed": sealed(secret)}
    return redirect("accounts:tokens", slug=account.slug)


def _page(
    request: HttpRequest, account: Account, form: TokenForm, *, status: int = 200, made: str = "", secret: str = ""
) -> HttpResponse:
    context = {
        "account": account,
        "form": form,
        "tokens": tokens.tokens_of(account),
        # By address: the API is not this app's.
        "example": f'curl -H "Authorization: Bearer $TEMPLATEGEN_TOKEN" {settings.SITE_URL}/api/v1/templates/',
        "made": made,
        "secret": secret,
    }
    return render(request, "accounts/tokens.html", context, status=status)


def _just_made(request: HttpRequest, account: Account) -> tuple[str, str]:
    """Nothing for another account's token, nor for one that is revoked already."""
    made = request.session.pop(_MADE, None)
    token = account.tokens.filter(pk=made["token"], revoked_at=None).first() if made else None
    secret = unsealed(made["sealed"], seconds=_SHOWN_WITHIN) if token else ""
    return (token.name, secret) if token else ("", "")


@require_POST
def revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """From now on it opens nothing."""
    account = account_for(request, slug, Permission.REVOKE)
    token = account.tokens.select_related("account").filter(pk=pk).first()
    if token is None:
        raise Http404
    tokens.revoke(token, by=person(request))
    messages.success(request, _("The token “%(name)s” is revoked.") % {"name": token.name})
    return redirect("accounts:tokens", slug=account.slug)
