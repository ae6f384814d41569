"""/metrics: for Prometheus with the site's token, and for staff who look themselves."""

import secrets

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from templategen import metrics

_SCHEME = "bearer"


def has_token(request: HttpRequest) -> bool:
    """Whether the request says a token at all, right or wrong."""
    return "Authorization" in request.headers


def by_token(request: HttpRequest) -> HttpResponse:
    """The metrics for the right token, 401 for any other. Compared in constant time; an empty setting fits nothing."""
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    fits = secrets.compare_digest(given.strip().encode(), settings.METRICS_TOKEN.encode())
    if scheme.lower() != _SCHEME or not settings.METRICS_TOKEN or not fits:
        answer = HttpResponse("A valid token is needed.\n", status=401, content_type="text/plain; charset=utf-8")
        answer["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return answer
    return _metrics()


# Nobody is asked to sign in here: to a stranger there is nothing.
@login_not_required
@never_cache
@require_safe
def for_staff(request: HttpRequest) -> HttpResponse:
    """The metrics for staff who may see templates; 404 for everybody else, as if the page did not exist."""
    if not (
        request.user.is_active and request.user.is_staff and request.user.has_perm("templategen.view_actiontemplate")
    ):
        raise Http404
    return _metrics()


def _metrics() -> HttpResponse:
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)
