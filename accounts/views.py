"""Signing in and out, passwords, and the page about oneself."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from accounts.forms import ResetForm, SignInForm
from accounts.links import use_link
from accounts.models import User


class SignIn(auth.LoginView):
    """E-mail address and password; on to where one wanted to go, if that is on this site."""

    form_class = SignInForm
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True


class SignOut(auth.LogoutView):
    """By POST only: a picture in a foreign page cannot sign anybody out."""


@login_not_required
@never_cache
@require_safe
def sign_in_link(request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    """Sign in by a link that works once; 410 when used or too old. HEAD (link previews) uses nothing."""
    if request.method == "HEAD":
        return HttpResponse()
    user = use_link(uidb64, token)
    if user is None:
        return render(request, "accounts/link_gone.html", status=410)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect(settings.LOGIN_REDIRECT_URL)


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Who am I, and which accounts am I in."""
    memberships = request.user.memberships.select_related("account").order_by("account__name")  # type: ignore[union-attr]  # signed in: middleware
    return render(request, "accounts/account.html", {"memberships": memberships})


class PasswordChange(auth.PasswordChangeView):
    """Change one's password; set the first one without being asked for an old one."""

    template_name = "accounts/password_change.html"
    success_url = reverse_lazy("accounts:account")

    def get_form_class(self) -> Any:
        """Who has no password is not asked for it."""
        user = self.request.user
        return PasswordChangeForm if isinstance(user, User) and user.has_usable_password() else SetPasswordForm

    def form_valid(self, form: Any) -> HttpResponse:
        """Say that it is done; other browsers of this user are signed out."""
        response = super().form_valid(form)
        messages.success(self.request, _("Your password is set. Other browsers have been signed out."))
        return response


class PasswordReset(auth.PasswordResetView):
    """Ask for a mail with a link. The answer is the same for a known and an unknown address."""

    form_class = ResetForm
    template_name = "accounts/reset.html"
    email_template_name = "accounts/reset_mail.txt"
    subject_template_name = "accounts/reset_subject.txt"
    success_url = reverse_lazy("accounts:password_reset_sent")
    # The site's own address, never what a request's Host header says.
    extra_email_context = {"site_url": settings.SITE_URL}


class PasswordResetSent(auth.PasswordResetDoneView):
    """Look into your mail."""

    template_name = "accounts/reset_sent.html"


class PasswordResetConfirm(auth.PasswordResetConfirmView):
    """Choose a new password, by the link in the mail."""

    template_name = "accounts/reset_confirm.html"
    success_url = reverse_lazy("accounts:sign_in")

    def form_valid(self, form: Any) -> HttpResponse:
        """Say that it is done, on the sign-in page."""
        response = super().form_valid(form)
        messages.success(self.request, _("Your new password is set. Sign in with it."))
        return response

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """410 for a link that is used or too old."""
        return super().render_to_response(context, status=200 if self.validlink else 410, **kwargs)
