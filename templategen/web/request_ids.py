"""A name for every request: in each log line, and in the answer, so that a person can quote it."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from templategen import logs

HEADER = "X-Request-ID"
# What a proxy in front may have given: nothing that could feign a field or a line.
_GIVEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


class RequestIdMiddleware:
    """Outermost of all: takes the proxy's ID where it is a sound one, else makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Everything that is logged meanwhile carries it; so do the request, as ``request_id``, and the answer."""
        given = request.headers.get(HEADER, "")
        request_id = given if _GIVEN.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]  # Django's logging is handed the request
        with logs.about(request_id=request_id):
            response = self.get_response(request)
        response[HEADER] = request_id
        return response
