"""Changing a password, and choosing a new one by a mailed link."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import lockout, sessions
from accounts.forms import ChangePasswordForm, ChoosePasswordForm, ResetForm
from accounts.models import User
from accounts.pages.person import person
from accounts.pages.secret_addresses import leads_on
from accounts.queue import ring


class PasswordChange(auth.PasswordChangeView):
    """Change one's password; set the first one without being asked for an old one."""

    template_name = "accounts/password_change.html"
    success_url = reverse_lazy("accounts:account")

    def get_form_class(self) -> Any:
        """Who has no password is not asked for it."""
        user = self.request.user
        return ChangePasswordForm if isinstance(user, User) and user.has_usable_password() else ChoosePasswordForm

    def form_valid(self, form: Any) -> HttpResponse:
        """Say that it is done; other browsers of this user are signed out."""
        ended = sessions.end_all(person(self.request), but=self.request.session.session_key)
        response = super().form_valid(form)
        others = _("Your password is set. Other browsers have been signed out.")
        messages.success(self.request, others if ended else _("Your password is set."))
        return response


@login_not_required
@require_http_methods(["GET", "POST"])
def password_reset(request: HttpRequest) -> HttpResponse:
    """Ask for a mail with a link. The answer is the same, and as quick, for a known and an unknown address."""
    form = ResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        # The queue looks whether the address is known.
        ring("mail_reset", email=form.cleaned_data["email"], language=get_language() or settings.LANGUAGE_CODE)
        return redirect("accounts:password_reset_sent")
    return render(request, "accounts/reset.html", {"form": form}, status=422 if request.method == "POST" else 200)


class PasswordResetSent(auth.PasswordResetDoneView):
    """Look into your mail."""

    template_name = "accounts/reset_sent.html"


# Said again: a dispatch of one's own forgets it.
@method_decorator(login_not_required, name="dispatch")
class PasswordResetConfirm(auth.PasswordResetConfirmView):
    """Choose a new password, by the link in the mail."""

    template_name = "accounts/reset_confirm.html"
    form_class = ChoosePasswordForm
    success_url = reverse_lazy("accounts:sign_in")

    def form_valid(self, form: Any) -> HttpResponse:
        """Say that it is done, on the sign-in page, which is open to them again."""
        response = super().form_valid(form)
        lockout.forgive(form.user)
        messages.success(self.request, _("Your new password is set. Sign in with it."))
        return response

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Where the token is in the address, on to the address without it."""
        response = super().dispatch(*args, **kwargs)
        if kwargs["token"] != self.reset_url_token:
            return leads_on("accounts:password_reset_confirm", kwargs["uidb64"], self.reset_url_token)
        return response

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """410 for a link that is used or too old."""
        return super().render_to_response(context, status=200 if self.validlink else 410, **kwargs)
