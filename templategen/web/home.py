"""The front door: on to one's own gallery."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The gallery last looked at, else the first account's; a page that says so for a user in no account."""
    assert not isinstance(request.user, AnonymousUser)  # noqa: S101  # sign-in is asked for by the middleware
    slugs = list(request.user.accounts.values_list("slug", flat=True))
    if not slugs:
        return render(request, "web/no_account.html")
    last = request.session.get("account")
    return redirect("web:gallery", slug=last if last in slugs else slugs[0])
