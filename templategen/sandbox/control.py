"""`/_sandbox/…`: look into the sandbox and tell it to misbehave. Loopback only, and only by name of this machine.

There is no password, so a web page must not be able to reach it either: writes need `Content-Type: application/json`
(which makes a browser ask first, and no answer here ever allows it) and the Host must be a local name (which stops a
foreign name that resolves to this machine).
"""

import dataclasses
import ipaddress
import json
from collections import Counter
from collections.abc import Callable

from templategen.sandbox.config import BadSettingError, Config, LiveSettings
from templategen.sandbox.dashscope.orders import BadOrderError, parse_order
from templategen.sandbox.dashscope.runner import Runner
from templategen.sandbox.dashscope.service import DashScopeService
from templategen.sandbox.dashscope.tasks import Tasks
from templategen.sandbox.faults import BadFaultError, Faults
from templategen.sandbox.http import BadRequestError, BodyTooLargeError, Request, Response, whole_number

PREFIX = "/_sandbox/"
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_MAX_BODY = 65_536


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The control calls. `cut_idle` is the server's: it ends the connections that wait for a request."""

    def __init__(
        self, config: Config, *, settings: LiveSettings, faults: Faults, tasks: Tasks, runner: Runner,
        dashscope: DashScopeService,
    ) -> None:  # fmt: skip
        self._config = config
        self._settings = settings
        self._faults = faults
        self._tasks = tasks
        self._runner = runner
        self._dashscope = dashscope
        self.cut_idle: Callable[[], int] = lambda: 0

    def answer(self, request: Request) -> Response:
        """The answer to any request; refusals are answers too."""
        try:
            _guard(request)
            return _json(200, self._call(request))
        except _RefusedError as error:
            return _json(error.status, {"error": str(error)})
        except (BadFaultError, BadSettingError, BadOrderError) as error:
            return _json(400, {"error": str(error)})

    def _call(self, request: Request) -> object:
        calls: dict[tuple[str, str], Callable[[], object]] = {
            ("GET", ""): self._overview,
            ("GET", "tasks"): lambda: self._shown(request.params.get("task_id")),
            ("POST", "tasks"): lambda: self._make(_body(request)),
            ("GET", "ends"): lambda: self._ended(request.params.get("after", "0")),
            ("PATCH", "settings"): lambda: dataclasses.asdict(self._settings.change(_body(request))),
            ("POST", "faults"): lambda: dataclasses.asdict(self._faults.add(_body(request))),
            ("DELETE", "faults"): lambda: {"removed": self._faults.clear()},
            ("DELETE", "connections"): lambda: {"cut": self.cut_idle()},
        }
        call = calls.get((request.method, request.path.removeprefix(PREFIX)))
        if call is None:
            raise _RefusedError(404, "no such control call; see docs/sandbox.md")
        try:
            return call()
        except BadRequestError as error:
            raise _RefusedError(400, str(error)) from None

    def _shown(self, task_id: str | None) -> list[dict[str, object]]:
        if task_id is None:
            return [dataclasses.asdict(task) for task in self._tasks.all()]
        task = self._tasks.by_id(task_id)
        return [dataclasses.asdict(task)] if task else []

    def _ended(self, after: str) -> dict[str, object]:
        place = whole_number(after, 0, 10**9)
        if place is None:
            raise _RefusedError(400, "after must be the `next` of an earlier answer")
        ends = self._tasks.ends(place)
        return {"ends": ends, "next": place + len(ends)}

    def _make(self, fields: dict[str, object]) -> dict[str, object]:
        order = parse_order(fields, self._config, self._settings.value)
        made = self._tasks.add_many(order)
        self._runner.take_over(task for task in made if task.status == "RUNNING")
        return {"task_ids": [task.task_id for task in made], "request_ids": [task.request_id for task in made]}

    def _overview(self) -> dict[str, object]:
        accounts: Counter[str] = Counter()
        statuses: Counter[str] = Counter()
        for (account, status), count in self._tasks.counts().items():
            accounts[account] += count
            statuses[status] += count
        return {
            "settings": dataclasses.asdict(self._settings.value),
            "faults": self._faults.waiting(),
            "calls": dataclasses.asdict(self._dashscope.counts),
            "throttled": self._dashscope.throttled,
            "tasks_by_account": dict(accounts),
            "tasks_by_status": dict(statuses),
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
