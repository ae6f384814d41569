"""/healthz and /readyz, for whatever watches the process: a load balancer, systemd, a container's orchestrator.

A middleware, for it must answer before anything looks at the Host header, redirects to https or asks for sign-in: a
probe calls a process by its address, over plain http. Who asks learns words and nothing else: no version, no name, no
number, no reason (that is in the log).
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse

from templategen import readiness

_READY = {"/readyz": readiness.ALL, "/readyz/web": readiness.WEB}


class ProbesMiddleware:
    """Answers the probes' addresses, lets everything else through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """GET and HEAD only."""
        path = request.path_info
        if path != "/healthz" and path not in _READY:
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        answer = _alive() if path == "/healthz" else _ready(_READY[path])
        answer["Cache-Control"] = "no-store"
        return answer


def _alive() -> HttpResponse:
    """The process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


def _ready(names: tuple[str, ...]) -> HttpResponse:
    """200 and ``{"status": "ok", "checks": {name: "ok" | "failed" | "slow"}}``; 503 unless every word is ok."""
    checks = readiness.of_this_process.ask(names)
    ready = all(word == readiness.OK for word in checks.values())
    status = readiness.OK if ready else readiness.FAILED
    return JsonResponse({"status": status, "checks": checks}, status=200 if ready else 503)
