"""What stands before every page besides sign-in: headers, limits, the second step, and whose session it is.

In the order in which settings.MIDDLEWARE names them.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from accounts import limits, two_step
from accounts.addresses import visitor_address
from accounts.door_models import LONGEST_AGENT
from accounts.models import User
from accounts.refusals import too_many

GetResponse = Callable[[HttpRequest], HttpResponseBase]
View = Callable[..., HttpResponseBase]


# Of an answer that did not come past django-csp: none of these is a page.
_NOTHING = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"


class HeadersMiddleware:
    """The headers of every answer. Before all that may answer by itself: probes, a refused host, static files.

    What Django and django-csp have set stays.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """No other site may embed what is here, and no page here may use a sensor or a purse."""
        response = self.get_response(request)
        for name, value in _headers().items():
            response.headers.setdefault(name, value)
        if request.is_secure() and settings.SECURE_HSTS_SECONDS:
            response.headers.setdefault("Strict-Transport-Security", _hsts())
        return response


def _headers() -> dict[str, str]:
    return {
        "Permissions-Policy": settings.PERMISSIONS_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        # Django's own pages about an error, under DEBUG only, have their style inline.
        **({} if settings.DEBUG else {"Content-Security-Policy": _NOTHING}),
    }


def _hsts() -> str:
    """As SecurityMiddleware writes it."""
    below = "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
    preload = "; preload" if settings.SECURE_HSTS_PRELOAD else ""
    return f"max-age={settings.SECURE_HSTS_SECONDS}{below}{preload}"


class VisitsMiddleware:
    """Notes in the session's row when and from where a signed-in person was last here. Behind SessionMiddleware."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Costs nothing where the page asked for no session, and a write once in five minutes where it did."""
        session: Any = request.session
        agent = "".join(letter for letter in request.headers.get("User-Agent", "") if letter.isprintable())
        session.visitor = (visitor_address(request), agent[:LONGEST_AGENT])
        response = self.get_response(request)
        session.note_visit()
        if session.accessed:
            # Somebody's own page: nothing between them and us keeps it, and their browser asks again.
            response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


class _Waiting(AnonymousUser):
    """Nobody, as far as any page is concerned; the door to the second step knows who wants in."""

    def __init__(self, user: User) -> None:
        super().__init__()
        self.waiting = user


class SecondStepMiddleware:
    """Whoever has two-step sign-in on is nobody until the code is given. Behind django-otp's middleware."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """As lazy as Django's own: a page that does not ask who it is costs nothing."""
        user = request.user
        request.user = SimpleLazyObject(lambda: _let_in(request, user))  # type: ignore[assignment]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: View, _args: Sequence[Any], _kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Staff without a second step come no further than to the page where they turn it on."""
        match = request.resolver_match
        if match is None or not ("admin" in match.namespaces or match.view_name == "metrics"):
            return None
        user: Any = request.user
        if not two_step.is_required(user) or user.is_verified():
            return None
        if request.method not in {"GET", "HEAD"} or match.view_name == "metrics":
            raise PermissionDenied
        messages.info(request, _("Administration asks for two-step sign-in. Turn it on here; then go on."))
        return redirect(f"{reverse('accounts:two_step')}?{urlencode({'next': request.path}, safe='/')}")


def _let_in(request: HttpRequest, user: Any) -> Any:
    if not user.is_authenticated or user.is_verified() or request.session.get(two_step.CHECKED_KEY) == user.pk:
        return user
    return _Waiting(user) if two_step.is_on(user) else user


class LimitsMiddleware:
    """Refuses what comes too often (settings.LIMITED_VIEWS). Behind sign-in, so that it knows who comes."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing to do before the view is known."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: View, _args: Sequence[Any], _kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """429, or None to go on."""
        match = request.resolver_match
        try:
            limits.heed(request, match.view_name if match else "")
        except limits.TooManyError as problem:
            return too_many(request, problem.name, problem.seconds)
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """The same for what a view counts itself."""
        if isinstance(exception, limits.TooManyError):
            return too_many(request, exception.name, exception.seconds)
        return None
