"""Signing in and out."""

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.forms import SignInForm
from accounts.links import use_link
from accounts.models import User
from accounts.pages.secret_addresses import leads_on

# Who comes by a link, or has just made their user, is let in by this; no password was asked for.
BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignIn(auth.LoginView):
    """E-mail address and password; on to where one wanted to go, if that is on this site."""

    form_class = SignInForm
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True


class SignOut(auth.LogoutView):
    """By POST only: a picture in a foreign page cannot sign anybody out."""


def let_in(request: HttpRequest, user: User) -> None:
    """Sign them in without a password: a mailed or printed secret has proved who they are."""
    login(request, user, backend=BACKEND)


@login_not_required
@never_cache
@require_safe
def sign_in_link(request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    """Sign in by a link that works once, and go on; HEAD (link previews) uses nothing."""
    if request.method == "HEAD":
        return HttpResponse()
    user = use_link(uidb64, token)
    if user is None:
        return leads_on("accounts:sign_in_link_gone")
    let_in(request, user)
    return leads_on(settings.LOGIN_REDIRECT_URL)


@login_not_required
@require_safe
def sign_in_link_gone(request: HttpRequest) -> HttpResponse:
    """The link was used, is too old, or was cut off: 410, and what one can do."""
    return render(request, "accounts/link_gone.html", status=410)
