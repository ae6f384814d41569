"""Refusals of DashScope, and the form of all its answers."""

import json
from collections.abc import Mapping

from templategen.sandbox.http import Response


class ApiError(Exception):
    """A refusal as DashScope words it: HTTP status, code, message; `retry_after` seconds go into a header."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def invalid(message: str) -> ApiError:
    """The refusal of a parameter."""
    return ApiError(400, "InvalidParameter", message)


def reply(status: int, content: Mapping[str, object], request_id: str) -> Response:
    """A JSON answer."""
    headers = {"Content-Type": "application/json", "x-request-id": request_id}
    return Response(status, headers, json.dumps(content).encode())


def refusal(error: ApiError, request_id: str) -> Response:
    """The envelope of a refused call."""
    content = {"request_id": request_id, "code": error.code, "message": error.message}
    response = reply(error.status, content, request_id)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
