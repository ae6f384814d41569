"""Signing up on a site that is open to everybody: an address, a mail, then a password and an account's name."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import members, sign_up
from accounts.forms import AccountForm, FinishSignUpForm, SignUpForm
from accounts.members import MembersError
from accounts.models import User
from accounts.pages.person import person
from accounts.pages.secret_addresses import leads_on
from accounts.pages.sign_in import let_in

# The token that this browser has come with.
_KEY = "sign_up"


@login_not_required
@require_http_methods(["GET", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    """Ask for the mail. The answer is the same for a known and an unknown address; 403 where people are invited."""
    if not sign_up.is_open():
        return _closed(request)
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        sign_up.begin(form.cleaned_data["email"])
        return redirect("accounts:sign_up_sent")
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/sign_up.html", {"form": form}, status=status)


@login_not_required
@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    """Look into your mail."""
    return render(request, "accounts/sign_up_sent.html")


@login_not_required
@never_cache
@require_safe
def link(request: HttpRequest, token: str) -> HttpResponse:
    """The link in the mail: on to the page. HEAD (link previews) does nothing at all."""
    if request.method == "HEAD":
        return HttpResponse()
    if sign_up.address_of(token) is not None:
        request.session[_KEY] = token
    else:
        request.session.pop(_KEY, None)
    return leads_on("accounts:sign_up_finish")


@sensitive_post_parameters()
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def finish(request: HttpRequest) -> HttpResponse:
    """Choose a password and the account's name; 410 when the link is used or too old."""
    if not sign_up.is_open():
        return _closed(request)
    email = sign_up.address_of(str(request.session.get(_KEY, "")))
    if email is None:
        return render(request, "accounts/sign_up_gone.html", status=410)
    form = FinishSignUpForm(User(email=email), request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "accounts/sign_up_finish.html", {"form": form, "email": email}, status=status)
    name = form.cleaned_data["account_name"]
    try:
        membership = members.open_account(email, form.cleaned_data["new_password1"], name=name)
    except MembersError:
        return redirect("accounts:sign_up_finish")
    let_in(request, membership.user)
    request.session.pop(_KEY, None)
    messages.success(request, _("Welcome. %(account)s is yours.") % {"account": name})
    return redirect(f"/a/{membership.account.slug}/")


@require_http_methods(["GET", "POST"])
def further(request: HttpRequest) -> HttpResponse:
    """An account of one's own, for who is signed in; 403 where people are invited."""
    if not sign_up.is_open():
        return _closed(request)
    form = AccountForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "accounts/new_account.html", {"form": form}, status=status)
    membership = members.open_further_account(person(request), name=form.cleaned_data["account_name"])
    messages.success(request, _("Welcome. %(account)s is yours.") % {"account": membership.account.name})
    return redirect(f"/a/{membership.account.slug}/")


def _closed(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/sign_up_closed.html", status=403)
