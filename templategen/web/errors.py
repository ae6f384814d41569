"""The one place where an expected failure becomes an answer: JSON for scripts, a message for htmx, a page else."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, DisallowedHost
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import defaults

from accounts.access import NotAllowedError
from accounts.middleware import wants_json
from accounts.models import Membership
from templategen import actions
from templategen.finding_texts import describe
from templategen.video.facts import Finding

_STATUS: tuple[tuple[type[actions.ActionError], HTTPStatus], ...] = (
    (actions.NotPossibleError, HTTPStatus.CONFLICT),
    (actions.IncompleteError, HTTPStatus.CONFLICT),
    (actions.RefusedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (actions.StorageTroubleError, HTTPStatus.SERVICE_UNAVAILABLE),
    (actions.ServiceTroubleError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(problem: actions.ActionError) -> HTTPStatus:
    """409 wrong state, 422 the user's input, 503 a remote service."""
    return next((status for kind, status in _STATUS if isinstance(problem, kind)), HTTPStatus.CONFLICT)


def json_error(
    code: str, text: str, *, status: int, findings: Iterable[Finding] = (), missing: Iterable[int] = ()
) -> JsonResponse:
    """``{"error": {"code", "text", "findings": [{label, measured, limit, what, fix}], "missing": […]}}``."""
    told = [asdict(describe(finding)) for finding in findings]
    return JsonResponse(
        {"error": {"code": code, "text": text, "findings": told, "missing": list(missing)}}, status=status
    )


def action_error(request: HttpRequest, problem: actions.ActionError) -> HttpResponse:
    """The answer to a failed action, in the form that was asked for."""
    status = status_of(problem)
    findings: tuple[Finding, ...] = getattr(problem, "findings", ())
    if wants_json(request):
        missing: list[int] = getattr(problem, "missing", [])
        return json_error(problem.code, problem.text, status=status, findings=findings, missing=missing)
    if request.headers.get("HX-Request") == "true":
        return _message(request, problem.text, status)
    told = [describe(finding) for finding in findings]
    context = {"text": problem.text, "findings": told, "back": _back(request), **_account(request)}
    return render(request, "errors/action.html", context, status=status)


def not_allowed(request: HttpRequest, refusal: NotAllowedError) -> HttpResponse:
    """403 for a member who may not do this, with the reason and who can, in the form that was asked for."""
    if wants_json(request):
        return json_error(refusal.code, refusal.text, status=HTTPStatus.FORBIDDEN)
    if request.headers.get("HX-Request") == "true":
        return _message(request, refusal.text, HTTPStatus.FORBIDDEN)
    context = {"text": refusal.text, "back": _back(request), **_account(request)}
    return render(request, "errors/not_allowed.html", context, status=HTTPStatus.FORBIDDEN)


def _account(request: HttpRequest) -> dict[str, Any]:
    """For the page's menu: a member is still in their account."""
    membership: Membership | None = getattr(request, "membership", None)
    return {} if membership is None else {"account": membership.account}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for what nothing can be made of: a page; without one where there is no site to speak for."""
    if isinstance(exception, DisallowedHost) or not hasattr(request, "user"):
        return defaults.bad_request(request, exception)
    return render(request, "errors/bad_request.html", {"back": _back(request)}, status=HTTPStatus.BAD_REQUEST)


def _message(request: HttpRequest, text: str, status: HTTPStatus) -> HttpResponse:
    response = render(request, "_message.html", {"text": text, "level": "error"}, status=status)
    response["HX-Retarget"] = "#messages"
    response["HX-Reswap"] = "beforeend"
    if status == HTTPStatus.CONFLICT:
        # The page shows an older state than the row has: let it look again.
        response["HX-Trigger"] = "templates:changed"
    return response


def _back(request: HttpRequest) -> str:
    """The page of this site that the form was on; where none is said the administration's first, or the door."""
    page = request.headers.get("Referer", "")
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(page, hosts, require_https=request.is_secure()):
        return page
    return reverse("admin:index") if _is_administration(request) else "/"


def _is_administration(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and "admin" in match.namespaces


class ActionErrorMiddleware:
    """Turns any view's ActionError and NotAllowedError into answers, an empty 405 into a page; all else bubbles."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing to do before; after, a page for whoever comes to an address by a link that only takes forms."""
        response = self.get_response(request)
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or wants_json(request):
            return response
        if response.get("Content-Type", "").startswith("application/json"):
            # The API's own.
            return response
        page = render(request, "405.html", status=HTTPStatus.METHOD_NOT_ALLOWED)
        page["Allow"] = response.get("Allow", "")
        return page

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """400 for what no database can look for: Django's administration hands filters on as they are."""
        if _is_administration(request) and any("\0" in text for _name, texts in request.GET.lists() for text in texts):
            raise BadRequest("a NUL in a filter")

    def process_exception(self, request: HttpRequest, exception: Exception) -> Any:
        """The answer, or None for what is not expected."""
        if isinstance(exception, DataError | OverflowError) and _is_administration(request):
            # A number that no row can have, in a choice of rows.
            raise BadRequest("a value that the database does not take") from exception
        if isinstance(exception, NotAllowedError):
            return not_allowed(request, exception)
        return action_error(request, exception) if isinstance(exception, actions.ActionError) else None
