"""Sign-in for every page, answered in the form in which the page was asked for."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _


def wants_json(request: HttpRequest) -> bool:
    """A script asked: it gets JSON, never a page or a redirect to one."""
    return "application/json" in (request.headers.get("Accept", ""), request.content_type)


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Django's own, but htmx is told to go to the sign-in page whole, and scripts get 401 as JSON."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]) -> Any:
        """A redirect for pages; 401 otherwise."""
        if wants_json(request):
            text = _("You are signed out. Sign in again; what you have begun is kept.")
            return JsonResponse({"error": {"code": "signed_out", "text": text}}, status=401)
        if request.headers.get("HX-Request") == "true":
            back = urlencode({"next": _page_path(request)}, safe="/")
            return HttpResponse(
                status=401, headers={"HX-Redirect": f"{resolve_url(self.get_login_url(view_func))}?{back}"}
            )
        return super().handle_no_permission(request, view_func)


def _page_path(request: HttpRequest) -> str:
    """The page that the partial was asked for by, as a path of this site."""
    page = urlsplit(request.headers.get("HX-Current-URL", ""))
    return page.path + (f"?{page.query}" if page.query else "") if page.netloc == request.get_host() else "/"
