"""The DashScope calls under `/api/v1/`: submit a template task, look at tasks, cancel one."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from templategen.sandbox.config import Config, LiveSettings
from templategen.sandbox.dashscope.rates import Rates
from templategen.sandbox.dashscope.runner import Runner
from templategen.sandbox.dashscope.tasks import Search, Task, Tasks
from templategen.sandbox.faults import Faults
from templategen.sandbox.http import BadRequestError, BodyTooLargeError, Request, Response, decode, whole_number

MODEL = "animate-anyone-template-gen2"
SUBMIT_PATH = "/api/v1/services/aigc/image2video/aa-template-generation"
TASKS_PATH = "/api/v1/tasks"
REGION = "cn-beijing"
_CHINA = timezone(timedelta(hours=8))
_DAY = 86_400.0
_MAX_BODY = 1 << 20
_MAX_PAGE = 100
_MAX_URL = 8192
_KEY_STEM = "apikey:v1:aigc:image2video:aa-template-generation:"


class ApiError(Exception):
    """A refusal as DashScope words it: HTTP status, code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Caller:
    """Whose key a request carries: the Alibaba account behind it and the key's own ID."""

    account: str
    api_key_id: str


@dataclass
class Counts:
    """What was asked of the service since it started; control shows it."""

    submits: int = 0
    gets: int = 0
    lists: int = 0
    cancels: int = 0


class DashScopeService:
    """Everything under `/api/v1/`."""

    def __init__(self, config: Config, settings: LiveSettings, tasks: Tasks, runner: Runner, faults: Faults) -> None:
        self._keys = config.api_keys
        self._settings = settings
        self._tasks = tasks
        self._runner = runner
        self._faults = faults
        self._rates = Rates()
        self.counts = Counts()

    def place(self, request: Request) -> str:
        """Which call a request is: submit, get, list, cancel; an empty text for none of them."""
        path = request.path
        if path.rstrip("/") == SUBMIT_PATH and request.method == "POST":
            return "submit"
        if path.rstrip("/") == TASKS_PATH and request.method == "GET":
            return "list"
        if path.startswith(TASKS_PATH + "/"):
            if request.method == "POST" and path.endswith("/cancel"):
                return "cancel"
            if request.method == "GET" and path.count("/") == 4:
                return "get"
        return ""

    def answer(self, request: Request) -> Response:
        """The answer to any request; refusals are answers too."""
        request_id = str(uuid.uuid4())
        calls: Mapping[str, Callable[[Request, Caller, str], dict[str, object]]] = {
            "submit": self._submit,
            "get": self._get,
            "list": self._list,
            "cancel": self._cancel,
        }
        try:
            call = calls.get(self.place(request))
            caller = self._caller(request)
            if call is None:
                return refusal(404, "NotFound", "The requested resource does not exist.", request_id)
            return reply(200, {"request_id": request_id, **call(request, caller, request_id)}, request_id)
        except ApiError as error:
            return refusal(error.status, error.code, error.message, request_id)
        except BadRequestError as error:
            return refusal(400, "InvalidParameter", str(error), request_id)

    def _caller(self, request: Request) -> Caller:
        scheme, _, key = request.header("authorization").partition(" ")
        account = self._keys.get(key.strip()) if scheme.lower() == "bearer" else None
        if account is None:
            raise ApiError(401, "InvalidApiKey", "Invalid API-key provided.")
        return Caller(account, str(int(hashlib.sha256(key.strip().encode()).hexdigest()[:8], 16) % 10**7))

    def _admit(self, caller: Caller, call: str, limit: int | None) -> None:
        if not self._rates.admit(caller.account, call, limit):
            raise ApiError(429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")

    def _submit(self, request: Request, caller: Caller, request_id: str) -> dict[str, object]:
        self.counts.submits += 1
        if request.header("x-dashscope-async").lower() != "enable":
            raise ApiError(403, "AccessDenied", "current user api does not support synchronous calls.")
        self._admit(caller, "submit", self._settings.value.submits_per_second)
        body = _json_body(request)
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise ApiError(400, "InvalidParameter", "Field required: model")
        if model != MODEL:
            raise ApiError(404, "ModelNotFound", "Model not exist.")
        inputs = body.get("input")
        if not isinstance(inputs, dict):
            raise ApiError(400, "InvalidParameter", "Field required: input")
        url = inputs.get("video_url")
        if not isinstance(url, str) or not url.strip():
            raise ApiError(400, "InvalidParameter", "Field required: input.video_url")
        if len(url) > _MAX_URL or not url.isprintable():
            raise ApiError(400, "InvalidParameter", "input.video_url is not a valid address.")
        task = self._tasks.add(caller.account, caller.api_key_id, request_id, model, url)
        self._runner.wake()
        return {"output": {"task_id": task.task_id, "task_status": "PENDING"}}

    def _get(self, request: Request, caller: Caller, request_id: str) -> dict[str, object]:
        self.counts.gets += 1
        self._admit(caller, "get", self._settings.value.queries_per_second)
        task_id = decode(request.path.removeprefix(TASKS_PATH + "/"))
        task = self._visible(self._tasks.by_id(task_id), caller)
        if task is None:
            return {"output": {"task_id": task_id, "task_status": "UNKNOWN"}}
        output: dict[str, object] = {"task_id": task.task_id, "task_status": task.status}
        for name, moment in (
            ("submit_time", task.submitted),
            ("scheduled_time", task.scheduled),
            ("end_time", task.ended),
        ):
            if moment is not None:
                output[name] = datetime.fromtimestamp(moment, _CHINA).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        if task.status == "SUCCEEDED":
            output["template_id"] = task.template_id
            return {"output": output, "usage": {"video_duration": task.duration, "video_ratio": "standard"}}
        if task.status == "FAILED":
            output |= {"code": task.code or "", "message": task.message or ""}
        return {"output": output}

    def _list(self, request: Request, caller: Caller, request_id: str) -> dict[str, object]:
        self.counts.lists += 1
        self._admit(caller, "list", self._settings.value.queries_per_second)
        params = request.params
        page_no, page_size = _number(params, "page_no", 1, 10**6), _number(params, "page_size", 10, _MAX_PAGE)
        since, until = _window(params.get("start_time", ""), params.get("end_time", ""))
        for task in self._faults_to_forget(caller, since, until):
            self._visible(task, caller)
        filters = {name: params[name] for name in ("task_id", "model_name", "status", "api_key_id") if params.get(name)}
        total, page = 0, list[Task]()
        if params.get("region", REGION) in ("", REGION):
            search = Search(caller.account, since, until, self._kept_since(), filters)
            total, page = self._tasks.page(search, page_size, (page_no - 1) * page_size)
        return {
            "page_no": page_no,
            "page_size": page_size,
            "total_page": -(-total // page_size),
            "total": total,
            "data": [_row(task) for task in page],
        }

    def _faults_to_forget(self, caller: Caller, since: float, until: float) -> list[Task]:
        """The tasks that a waiting "forget" may concern; none in the normal case, so that a list stays cheap."""
        if not any(fault["kind"] == "forget" for fault in self._faults.waiting()):
            return []
        return self._tasks.of_account(caller.account, since, until)

    def _kept_since(self) -> float:
        """Tasks that ended before this moment are unknown."""
        return time.time() - self._settings.value.retention_hours * 3600

    def _cancel(self, request: Request, caller: Caller, request_id: str) -> dict[str, object]:
        self.counts.cancels += 1
        self._admit(caller, "cancel", self._settings.value.queries_per_second)
        task_id = decode(request.path.removeprefix(TASKS_PATH + "/").removesuffix("/cancel"))
        task = self._visible(self._tasks.by_id(task_id), caller)
        if task is None or not self._tasks.cancel(task):
            raise ApiError(
                400,
                "UnsupportedOperation",
                "Failed to cancel the task, please confirm if the task is in PENDING status.",
            )
        return {}

    def _visible(self, task: Task | None, caller: Caller) -> Task | None:
        """The task, unless it is another account's, past its retention, or (a fault) forgotten."""
        if task is None or task.account != caller.account or task.forgotten:
            return None
        if task.ended is not None and task.ended < self._kept_since():
            return None
        if self._faults.take(["task"], lambda: f"{task.task_id} {task.video_url}", ["forget"]):
            self._tasks.forget(task)
            return None
        return task


def reply(status: int, content: Mapping[str, object], request_id: str) -> Response:
    """A JSON answer."""
    headers = {"Content-Type": "application/json", "x-request-id": request_id}
    return Response(status, headers, json.dumps(content).encode())


def refusal(status: int, code: str, message: str, request_id: str) -> Response:
    """The envelope of a refused call."""
    return reply(status, {"request_id": request_id, "code": code, "message": message}, request_id)


def _json_body(request: Request) -> dict[str, object]:
    try:
        body = json.loads(request.body.read_all(_MAX_BODY))
    except BodyTooLargeError:
        raise ApiError(400, "InvalidParameter", "The request body is too large.") from None
    except (ValueError, RecursionError):
        raise ApiError(400, "InvalidParameter", "The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "InvalidParameter", "The request body must be a JSON object.")
    return body


def _row(task: Task) -> dict[str, object]:
    """A task in the list: no input, no output, no template ID."""
    uid = str(10**15 + int(hashlib.sha256(task.account.encode()).hexdigest()[:12], 16) % 10**15)
    row: dict[str, object] = {
        "api_key_id": task.api_key_id,
        "caller_parent_id": uid,
        "caller_uid": uid,
        "gmt_create": _milliseconds(task.submitted),
        "model_name": task.model,
        "region": REGION,
        "request_id": task.request_id,
        "status": task.status,
        "task_id": task.task_id,
        "user_api_unique_key": _KEY_STEM + task.model,
    }
    if task.scheduled is not None:
        row["start_time"] = _milliseconds(task.scheduled)
    if task.ended is not None:
        row["end_time"] = _milliseconds(task.ended)
    if task.status == "FAILED":
        row |= {"code": task.code or "", "message": task.message or ""}
    return row


def _window(start: str, end: str) -> tuple[float, float]:
    """The time window in epoch seconds; both bounds count, to the second, in UTC+8."""
    since, until = _moment(start, "start_time"), _moment(end, "end_time")
    if since is None and until is None:
        now = time.time()
        return now - _DAY, now + 1
    if since is None:
        since = (until or 0.0) - _DAY
    if until is None:
        until = since + _DAY
    if until < since or until - since > _DAY:
        raise ApiError(
            400, "InvalidParameter", "The time range must not exceed 24 hours, and must not end before it starts."
        )
    return since, until + 0.999


def _moment(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        if len(text) != 14 or not text.isascii() or not text.isdigit():
            text = ""
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=_CHINA).timestamp()
    except (ValueError, OverflowError):
        raise ApiError(400, "InvalidParameter", f"{name} must look like YYYYMMDDhhmmss.") from None


def _number(params: Mapping[str, str], name: str, default: int, high: int) -> int:
    number = whole_number(params.get(name, "") or str(default), 1, high)
    if number is None:
        raise ApiError(400, "InvalidParameter", f"{name} must be between 1 and {high}.")
    return number


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
