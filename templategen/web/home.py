"""The front door: on to one's own gallery."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The gallery last looked at, else the first account's; a page that says so for a user in no account."""
    assert not isinstance(request.user, AnonymousUser)  # noqa: S101  # sign-in is asked for by the middleware
    accounts = list(request.user.accounts.all())
    if not accounts:
        return render(request, "web/no_account.html")
    last = next((account for account in accounts if account.pk == request.user.last_account_id), accounts[0])
    return redirect("web:gallery", slug=last.slug)
