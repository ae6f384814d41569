"""Who may call: ``Authorization: Bearer tg_…``, and how often. Answers are JSON, whatever went wrong."""

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_exempt

from accounts import limits, tokens
from accounts.access import NotAllowedError, require
from accounts.models import ApiToken, Membership
from accounts.permissions import Permission

View = Callable[..., JsonResponse]
METHODS = ("GET", "HEAD")


class BadRequestError(Exception):
    """What the caller sent cannot be read; the text says why."""


def error(code: str, text: str, status: HTTPStatus) -> JsonResponse:
    """``{"error": {"code", "text"}}``."""
    return JsonResponse({"error": {"code": code, "text": text}}, status=status)


def by_token(permission: Permission) -> Callable[[View], View]:
    """The view is called as ``view(request, account, …)`` for a token that may. Cookies count for nothing here."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, **kwargs: Any) -> JsonResponse:
            answer = _refusal(request) or _answer(view, request, permission, **kwargs)
            answer["Cache-Control"] = "no-store"
            answer["Vary"] = "Authorization"
            return answer

        return login_not_required(csrf_exempt(wrapped))

    return decorate


def _refusal(request: HttpRequest) -> JsonResponse | None:
    """What can be said before anybody asks who calls."""
    if request.method in METHODS:
        return None
    answer = error("method", _("This address answers to GET only."), HTTPStatus.METHOD_NOT_ALLOWED)
    answer["Allow"] = ", ".join(METHODS)
    return answer


def _answer(view: View, request: HttpRequest, permission: Permission, **kwargs: Any) -> JsonResponse:
    found = _caller(request)
    if found is None:
        return _unknown()
    token, membership = found
    try:
        limits.take("api", f"token {token.pk}")
        require(membership, permission)
        return view(request, membership.account, **kwargs)
    except NotAllowedError as refusal:
        return error(refusal.code, refusal.text, HTTPStatus.FORBIDDEN)
    except limits.TooManyError as problem:
        return _too_many(problem.seconds)
    except Http404:
        return not_found(request)
    except BadRequestError as problem:
        return error("bad_request", str(problem), HTTPStatus.BAD_REQUEST)


def _caller(request: HttpRequest) -> tuple[ApiToken, Membership] | None:
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    return tokens.membership_for(secret.strip()) if scheme.lower() == "bearer" else None


def _unknown() -> JsonResponse:
    text = _("A valid API token is needed: Authorization: Bearer tg_… An owner of the account makes one.")
    answer = error("unauthorized", text, HTTPStatus.UNAUTHORIZED)
    answer["WWW-Authenticate"] = 'Bearer realm="api"'
    return answer


def _too_many(seconds: int) -> JsonResponse:
    text = ngettext(
        "Too many calls with this token. Try again in %(seconds)d second.",
        "Too many calls with this token. Try again in %(seconds)d seconds.",
        seconds,
    ) % {"seconds": seconds}
    answer = error("too_many", text, HTTPStatus.TOO_MANY_REQUESTS)
    answer["Retry-After"] = str(seconds)
    return answer


@login_not_required
@csrf_exempt
def not_found(_request: HttpRequest, **_rest: Any) -> JsonResponse:
    """404 as JSON: also for what is another account's."""
    return error("not_found", _("There is nothing at this address, or it is another account's."), HTTPStatus.NOT_FOUND)
