"""Sign-in for every page, answered in the form in which the page was asked for."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _

# Ids of the elements that ask without anybody's doing: the page's poll, and the list that fetches itself anew.
_BY_THEMSELVES = frozenset({"live", "results"})
_GALLERY = re.compile(r"/a/[-\w]+/")


def wants_json(request: HttpRequest) -> bool:
    """A script asked: it gets JSON, never a page or a redirect to one."""
    return "application/json" in (request.headers.get("Accept", ""), request.content_type)


def asking_page(request: HttpRequest) -> SplitResult:
    """The page from which htmx, or else a form, asked; all parts empty where none, or nonsense, is said."""
    given = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    try:
        return urlsplit(given)
    except ValueError:
        return urlsplit("")


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Django's own, but htmx is told to go to the sign-in page whole, and scripts get 401 as JSON."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]) -> Any:
        """A redirect for pages; 401 otherwise. Who has given a password and no code yet is led to where it is given."""
        is_waiting = getattr(request.user, "waiting", None) is not None
        if wants_json(request):
            return _told_in_json(is_waiting=is_waiting)
        door = resolve_url("accounts:two_step_code" if is_waiting else self.get_login_url(view_func))
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(status=401, headers=_way_in(request, door))
        if request.method not in {"GET", "HEAD"}:
            # What takes a POST shows nothing to whoever comes there from the sign-in page.
            return redirect_to_login(_page_path(request), door)
        return redirect_to_login(request.get_full_path(), door)


def _told_in_json(*, is_waiting: bool) -> JsonResponse:
    if is_waiting:
        code, text = "second_step", _("Your sign-in waits for its second step: reload the page and enter the code.")
    else:
        code, text = "signed_out", _("You are signed out. Sign in again; what you have begun is kept.")
    return JsonResponse({"error": {"code": code, "text": text}}, status=401)


def _way_in(request: HttpRequest, door: str) -> dict[str, str]:
    if request.headers.get("HX-Trigger") in _BY_THEMSELVES:
        # Nobody pressed anything: an upload may be going on in the page, which must not be taken away.
        return {}
    return {"HX-Redirect": f"{door}?{urlencode({'next': _page_path(request)}, safe='/')}"}


def _page_path(request: HttpRequest) -> str:
    """The page that was asked from, as a path of this site; where none is said, the account's gallery."""
    page = asking_page(request)
    if page.netloc == request.get_host():
        return page.path + (f"?{page.query}" if page.query else "")
    gallery = _GALLERY.match(request.path)
    return gallery[0] if gallery else "/"
