"""`/_sandbox/…`: look into the sandbox and tell it to misbehave. Loopback only, and only by name of this machine.

There is no password, so a web page must not be able to reach it either: writes need `Content-Type: application/json`
(which makes a browser ask first, and no answer here ever allows it) and the Host must be a local name (which stops a
foreign name that resolves to this machine).
"""

import dataclasses
import ipaddress
import json
from collections import Counter

from templategen.sandbox.config import BadSettingError, LiveSettings
from templategen.sandbox.dashscope.service import DashScopeService
from templategen.sandbox.dashscope.tasks import Tasks
from templategen.sandbox.faults import BadFaultError, Faults
from templategen.sandbox.http import BodyTooLargeError, Request, Response

PREFIX = "/_sandbox/"
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_MAX_BODY = 65_536


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The control calls."""

    def __init__(self, settings: LiveSettings, faults: Faults, tasks: Tasks, dashscope: DashScopeService) -> None:
        self._settings = settings
        self._faults = faults
        self._tasks = tasks
        self._dashscope = dashscope

    def answer(self, request: Request) -> Response:
        """The answer to any request; refusals are answers too."""
        try:
            _guard(request)
            return _json(200, self._call(request))
        except _RefusedError as error:
            return _json(error.status, {"error": str(error)})
        except (BadFaultError, BadSettingError) as error:
            return _json(400, {"error": str(error)})

    def _call(self, request: Request) -> object:
        call = (request.method, request.path.removeprefix(PREFIX))
        if call == ("GET", ""):
            return self._overview()
        if call == ("GET", "tasks"):
            return [dataclasses.asdict(task) for task in self._tasks.all()]
        if call == ("PATCH", "settings"):
            return dataclasses.asdict(self._settings.change(_body(request)))
        if call == ("POST", "faults"):
            return dataclasses.asdict(self._faults.add(_body(request)))
        if call == ("DELETE", "faults"):
            return {"removed": self._faults.clear()}
        raise _RefusedError(404, "no such control call; see docs/sandbox.md")

    def _overview(self) -> dict[str, object]:
        tasks = self._tasks.all()
        return {
            "settings": dataclasses.asdict(self._settings.value),
            "faults": self._faults.waiting(),
            "calls": dataclasses.asdict(self._dashscope.counts),
            "tasks_by_account": dict(Counter(task.account for task in tasks)),
            "tasks_by_status": dict(Counter(task.status for task in tasks)),
        }


def _guard(request: Request) -> None:
    if not ipaddress.ip_address(request.client.partition("%")[0]).is_loopback:
        raise _RefusedError(403, "the control calls are for this machine only")
    host = request.header("host").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in _LOCAL_NAMES:
        raise _RefusedError(403, "the control calls need a local host name")
    if (
        request.method != "GET"
        and request.header("content-type").partition(";")[0].strip().lower() != "application/json"
    ):
        raise _RefusedError(415, "a change needs Content-Type: application/json")


def _body(request: Request) -> dict[str, object]:
    try:
        body = json.loads(request.body.read_all(_MAX_BODY))
    except BodyTooLargeError:
        raise _RefusedError(413, "the body is too large") from None
    except (ValueError, RecursionError):
        raise _RefusedError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise _RefusedError(400, "the body must be a JSON object")
    return body


def _json(status: int, content: object) -> Response:
    return Response(
        status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, json.dumps(content).encode()
    )
