"""Two-step sign-in: the code at the door, and the page where one turns it on and off."""

from base64 import b32encode
from collections.abc import Callable
from typing import Any, TypeVar

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import limits, two_step
from accounts.models import User
from accounts.pages.person import person
from accounts.refusals import words

Given = TypeVar("Given")


class CodeForm(forms.Form):
    """A code: the app's, or a recovery code."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autocapitalize": "off", "spellcheck": "false"}),
    )

    # Seconds until another try is worth it; 0: at once.
    wait = 0

    def put_off(self, problem: limits.TooManyError, field: str = "code") -> None:
        """Too often: said at the field, for what was asked for stays to be done."""
        self.wait = problem.seconds
        self.add_error(field, words(problem))


class TurnOnForm(CodeForm):
    """The app's first code; and the password, where there is one: a browser left open must not lock its owner out."""

    password = forms.CharField(
        label=gettext_lazy("Your password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, user: User, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # the form's data
        self.user = user
        if not user.has_usable_password():
            del self.fields["password"]

    def clean_password(self) -> str:
        """Counted like codes."""
        password = str(self.cleaned_data["password"])
        try:
            limits.take("code", f"user {self.user.pk}")
        except limits.TooManyError as problem:
            self.wait = problem.seconds
            raise forms.ValidationError(words(problem)) from problem
        if not self.user.check_password(password):
            raise forms.ValidationError(_("This is not your password."))
        return password


# --- At the door ---


@sensitive_post_parameters()
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """The second step: who has given a password gives a code, and goes on to where they wanted to go."""
    user = two_step.waiting_user(request)
    if user is None:
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = CodeForm(request.POST or None)
    is_given = request.method == "POST" and form.is_valid()
    if is_given and _try(form, lambda given: two_step.pass_second_step(request, user, given)):
        left = two_step.codes_left(user)
        if left <= two_step.FEW_CODES:
            messages.warning(request, _("You have %(left)d recovery codes left.") % {"left": left})
        return redirect(_next(request))
    return _answer(request, "accounts/two_step_code.html", {"form": form, "next": _next(request)})


# --- Turning it on and off ---


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def two_step_page(request: HttpRequest) -> HttpResponse:
    """Where it is off: the picture for the app; POST turns it on and shows the recovery codes. Where on: its state."""
    user = person(request)
    if two_step.is_on(user):
        return _on(request, user, CodeForm())
    form = TurnOnForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        codes = _try(form, lambda code: two_step.turn_on(request, user, code))
        if codes:
            return _on(request, user, CodeForm(), codes=codes)
    device = two_step.begun_device(user)
    context = {
        "form": form,
        "picture": _picture(device.config_url),
        "secret": _in_groups(b32encode(device.bin_key).decode().rstrip("=")),
        "is_required": two_step.is_required(user),
        "next": _next(request),
    }
    return _answer(request, "accounts/two_step_off.html", context)


@sensitive_post_parameters()
@never_cache
@require_POST
def new_codes(request: HttpRequest) -> HttpResponse:
    """Fresh recovery codes, for who can give a code; this one answer shows them."""
    user = person(request)
    form = _checked(request, user)
    if form.errors:
        return _on(request, user, form)
    return _on(request, user, CodeForm(), codes=two_step.new_codes(user))


@sensitive_post_parameters()
@never_cache
@require_POST
def turn_off(request: HttpRequest) -> HttpResponse:
    """Ask for no code any more, for who can give one."""
    user = person(request)
    if two_step.is_required(user):
        messages.error(request, _("This site asks for two-step sign-in of everybody who administers it."))
        return redirect("accounts:two_step")
    form = _checked(request, user)
    if form.errors:
        return _on(request, user, form)
    two_step.turn_off(user)
    messages.success(request, _("Two-step sign-in is off."))
    return redirect("accounts:account")


def _checked(request: HttpRequest, user: User) -> CodeForm:
    """The form; with an error where the code does not fit."""
    form = CodeForm(request.POST)
    if form.is_valid():
        _try(form, lambda code: two_step.give_code(user, code))
    return form


def _try(form: CodeForm, step: Callable[[str], Given]) -> Given | None:
    """What the form's code gives; nothing, with an error in the form, where it does not fit or comes too often."""
    try:
        given = step(form.cleaned_data["code"])
    except limits.TooManyError as problem:
        form.put_off(problem)
        return None
    if not given:
        form.add_error("code", _no_fit())
    return given


def _answer(request: HttpRequest, page: str, context: dict[str, Any]) -> HttpResponse:
    """The page with its form: 422 where something in it is wrong, 429 where it is only too early."""
    form: CodeForm = context["form"]
    refused = 422 if request.method == "POST" else 200
    status = 429 if form.wait else 201 if context.get("codes") else refused
    response = render(request, page, context, status=status)
    if form.wait:
        response["Retry-After"] = str(form.wait)
    return response


def _on(request: HttpRequest, user: User, form: CodeForm, *, codes: list[str] | None = None) -> HttpResponse:
    if not two_step.is_on(user):
        return redirect("accounts:two_step")
    context = {
        "form": form,
        "codes": codes,
        "left": two_step.codes_left(user),
        "few": two_step.FEW_CODES,
        "is_required": two_step.is_required(user),
        "next": _next(request),
    }
    return _answer(request, "accounts/two_step_on.html", context)


def _no_fit() -> str:
    return _(
        "This code does not fit, or was used already. The app shows a new one every 30 seconds; its phone's clock must "
        "be right."
    )


def _next(request: HttpRequest) -> str:
    """The page of this site that was asked for first."""
    given = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(given, {request.get_host()}, require_https=request.is_secure())
    # Anything but a path could be taken for the name of a view.
    return given if safe and given.startswith("/") else "/"


def _picture(text: str) -> str:
    """A QR code as SVG, black on white in every theme: cameras want it so. No style, no script, no user's text."""
    drawn = segno.make(text, error="m", micro=False)
    return mark_safe(  # noqa: S308 -- drawn by segno: paths only
        drawn.svg_inline(scale=4, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True)
    )


def _in_groups(secret: str) -> str:
    return " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
