"""The DashScope calls under `/api/v1/`: submit a template task, look at tasks, cancel one."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from templategen.sandbox.config import API_ERRORS, Config, LiveSettings
from templategen.sandbox.dashscope import listing
from templategen.sandbox.dashscope.errors import ApiError, invalid, refusal, reply
from templategen.sandbox.dashscope.listing import Clock
from templategen.sandbox.dashscope.rates import Rates
from templategen.sandbox.dashscope.runner import Runner
from templategen.sandbox.dashscope.tasks import COMING, Submission, Task, Tasks
from templategen.sandbox.faults import Faults
from templategen.sandbox.http import BadRequestError, BodyTooLargeError, Request, Response, decode

MODEL = "animate-anyone-template-gen2"
SUBMIT_PATH = "/api/v1/services/aigc/image2video/aa-template-generation"
TASKS_PATH = "/api/v1/tasks"
_MAX_BODY = 1 << 20
_MAX_URL = 8192


@dataclass(frozen=True)
class Call:
    """One request of a known caller: the Alibaba account behind the key and the key's own ID.

    `make_after`: the fault that has a submitted task appear only so many seconds later.
    """

    request: Request
    request_id: str
    account: str
    api_key_id: str
    make_after: float


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
        self.throttled = 0

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

    def account(self, request: Request) -> str:
        """The Alibaba account behind a request's key; an empty text for none."""
        scheme, _, key = request.header("authorization").partition(" ")
        return self._keys.get(key.strip(), "") if scheme.lower() == "bearer" else ""

    def answer(self, request: Request, *, make_after: float = 0.0) -> Response:
        """The answer to any request; refusals are answers too."""
        request_id = str(uuid.uuid4())
        calls: Mapping[str, Callable[[Call], dict[str, object]]] = {
            "submit": self._submit,
            "get": self._get,
            "list": self._list,
            "cancel": self._cancel,
        }
        try:
            call = self._call(request, request_id, make_after)
            return reply(200, {"request_id": request_id, **calls[self.place(request)](call)}, request_id)
        except ApiError as error:
            return refusal(error, request_id)
        except BadRequestError as error:
            return refusal(invalid(str(error)), request_id)

    def _call(self, request: Request, request_id: str, make_after: float) -> Call:
        """Who calls what; raises ApiError. Setting `api_error`: a bad key spoils every call, others only new tasks."""
        place, account, told = self.place(request), self.account(request), self._settings.value.api_error
        if not account or told == "InvalidApiKey":
            raise ApiError(401, "InvalidApiKey", "Invalid API-key provided.")
        if not place:
            raise ApiError(404, "NotFound", "The requested resource does not exist.")
        if told and place == "submit":
            raise ApiError(API_ERRORS[told], told, "The sandbox was told to answer so.")
        return Call(request, request_id, account, key_id(request.header("authorization")), make_after)

    def _admit(self, call: Call, kind: str, limit: int | None) -> None:
        if not self._rates.admit(call.account, kind, limit):
            self.throttled += 1
            raise ApiError(
                429,
                "Throttling.RateQuota",
                "Requests rate limit exceeded, please try again later.",
                self._settings.value.retry_after_seconds,
            )

    def _submit(self, call: Call) -> dict[str, object]:
        self.counts.submits += 1
        if call.request.header("x-dashscope-async").lower() != "enable":
            raise ApiError(403, "AccessDenied", "current user api does not support synchronous calls.")
        self._admit(call, "submit", self._settings.value.submits_per_second)
        body = _json_body(call.request)
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise invalid("Field required: model")
        if model != MODEL:
            raise ApiError(404, "ModelNotFound", "Model not exist.")
        inputs = body.get("input")
        if not isinstance(inputs, dict):
            raise invalid("Field required: input")
        url = inputs.get("video_url")
        if not isinstance(url, str) or not url.strip():
            raise invalid("Field required: input.video_url")
        if len(url) > _MAX_URL or not url.isprintable():
            raise invalid("input.video_url is not a valid address.")
        return {"output": {"task_id": self._make(call, model, url).task_id, "task_status": "PENDING"}}

    def _make(self, call: Call, model: str, url: str) -> Task:
        status = COMING if call.make_after else "PENDING"
        submitted = time.time() + call.make_after
        new = Submission(call.account, call.api_key_id, call.request_id, model, url, submitted, status)
        task = self._tasks.add(new)
        if call.make_after:
            self._runner.expect(task)
        else:
            self._runner.wake()
        return task

    def _get(self, call: Call) -> dict[str, object]:
        self.counts.gets += 1
        self._admit(call, "get", self._settings.value.queries_per_second)
        task_id = decode(call.request.path.removeprefix(TASKS_PATH + "/"))
        task = self._visible(self._tasks.by_id(task_id), call.account)
        if task is None:
            return {"output": {"task_id": task_id, "task_status": "UNKNOWN"}}
        clock = Clock(self._settings.value)
        output: dict[str, object] = {"task_id": task.task_id, "task_status": task.status}
        for name, moment in (
            ("submit_time", task.submitted),
            ("scheduled_time", task.scheduled),
            ("end_time", task.ended),
        ):
            if moment is not None:
                output[name] = clock.text(moment)
        if task.status == "SUCCEEDED":
            output["template_id"] = task.template_id
            return {"output": output, "usage": {"video_duration": task.duration, "video_ratio": "standard"}}
        if task.status == "FAILED":
            output |= {"code": task.code or "", "message": task.message or ""}
        return {"output": output}

    def _list(self, call: Call) -> dict[str, object]:
        self.counts.lists += 1
        settings = self._settings.value
        self._admit(call, "list", settings.queries_per_second)
        params = call.request.params
        page_no, page_size = listing.pages(params, settings)
        search = listing.search(params, call.account, settings, time.time())
        for task in self._faults_to_forget(call.account, search.since, search.until):
            self._visible(task, call.account)
        total, page = 0, list[Task]()
        if params.get("region", listing.REGION) in ("", listing.REGION):
            total, page = self._tasks.page(search, page_size, (page_no - 1) * page_size)
        clock = Clock(settings)
        return {
            "page_no": page_no,
            "page_size": page_size,
            "total_page": -(-total // page_size),
            "total": total,
            "data": [listing.row(task, clock) for task in page],
        }

    def _faults_to_forget(self, account: str, since: float, until: float) -> list[Task]:
        """The tasks that a waiting "forget" may concern; none in the normal case, so that a list stays cheap."""
        if not any(fault["kind"] == "forget" for fault in self._faults.waiting()):
            return []
        return self._tasks.of_account(account, since, until)

    def _cancel(self, call: Call) -> dict[str, object]:
        self.counts.cancels += 1
        self._admit(call, "cancel", self._settings.value.queries_per_second)
        task_id = decode(call.request.path.removeprefix(TASKS_PATH + "/").removesuffix("/cancel"))
        task = self._visible(self._tasks.by_id(task_id), call.account)
        if task is None or not self._tasks.cancel(task):
            raise ApiError(
                400,
                "UnsupportedOperation",
                "Failed to cancel the task, please confirm if the task is in PENDING status.",
            )
        return {}

    def _visible(self, task: Task | None, account: str) -> Task | None:
        """The task, unless it is another account's, not there yet, past its retention, or (a fault) forgotten."""
        if task is None or task.account != account or not task.listed:
            return None
        if task.ended is not None and task.ended < time.time() - self._settings.value.retention_hours * 3600:
            return None
        if self._faults.take(["task"], lambda: f"{task.task_id} {task.video_url}", ["forget"]):
            self._tasks.forget(task)
            return None
        return task


@lru_cache(maxsize=256)
def key_id(authorization: str) -> str:
    """The ID of the API key in such a header, as the list shows it: short digits."""
    key = authorization.partition(" ")[2].strip()
    return str(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 10**7)


def _json_body(request: Request) -> dict[str, object]:
    try:
        body = json.loads(request.body.read_all(_MAX_BODY))
    except BodyTooLargeError:
        raise invalid("The request body is too large.") from None
    except (ValueError, RecursionError):
        raise invalid("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object.")
    return body
