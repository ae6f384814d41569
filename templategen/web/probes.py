"""/healthz, /readyz, and /metrics by token, for whatever watches: a load balancer, an orchestrator, Prometheus.

A middleware, for it must answer before anything looks at the Host header, redirects to https or asks for sign-in: a
probe calls a process by its address, over plain http. Who asks learns words and nothing else: no version, no name, no
number, no reason (that is in the log). Metrics are for those who have the token; staff come by the page's own address.
"""

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse

from templategen import readiness
from templategen.web import metrics

_READY = {"/readyz": readiness.ALL, "/readyz/web": readiness.WEB}


class ProbesMiddleware:
    """Answers the probes' addresses, lets everything else through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """GET and HEAD only."""
        answering = _answering(request)
        if answering is None:
            return self.get_response(request)
        answer = answering() if request.method in {"GET", "HEAD"} else HttpResponseNotAllowed(["GET", "HEAD"])
        answer["Cache-Control"] = "no-store"
        return answer


def _answering(request: HttpRequest) -> Callable[[], HttpResponse] | None:
    path = request.path_info
    if path == "/healthz":
        return _alive
    if path in _READY:
        return partial(_ready, _READY[path])
    if path == "/metrics" and metrics.has_token(request):
        return partial(metrics.by_token, request)
    return None


def _alive() -> HttpResponse:
    """The process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


def _ready(names: tuple[str, ...]) -> HttpResponse:
    """200 and ``{"status": "ok", "checks": {name: "ok" | "failed" | "slow"}}``; 503 unless every word is ok."""
    checks = readiness.of_this_process.ask(names)
    ready = all(word == readiness.OK for word in checks.values())
    status = readiness.OK if ready else readiness.FAILED
    return JsonResponse({"status": status, "checks": checks}, status=200 if ready else 503)
