"""Puts the parts together and sends each request to its service, with a fault in between where one waits."""

import json
import logging
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from email.utils import formatdate

from templategen.sandbox.config import BadSettingError, Config, LiveSettings
from templategen.sandbox.control import PREFIX, Control
from templategen.sandbox.dashscope.errors import ApiError, refusal
from templategen.sandbox.dashscope.runner import Runner
from templategen.sandbox.dashscope.service import DashScopeService
from templategen.sandbox.dashscope.tasks import Tasks
from templategen.sandbox.database import Database
from templategen.sandbox.faults import BadFaultError, Fault, Faults
from templategen.sandbox.http import BadRequestError, BodyTooLargeError, Request, Response
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.service import OssService

log = logging.getLogger(__name__)

_REQUEST_KINDS = ("refuse", "slow", "answer_late", "lose_answer", "make_later", "status", "drop")
_MAX_BODY = 1 << 20
_OSS_CODES = {
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "FileAlreadyExists",
    429: "QpsLimitExceeded",
    503: "ServiceUnavailable",
}
_API_CODES = {401: "InvalidApiKey", 403: "AccessDenied", 429: "Throttling.RateQuota", 503: "ModelUnavailable"}


class App:
    """The whole sandbox behind its port."""

    def __init__(self, config: Config) -> None:
        self.database = Database(config.data / "sandbox.sqlite3")
        self.settings = LiveSettings(config.settings)
        self.faults = Faults(self._seed_of_this_start(config.seed), self._keep)
        self._take_up_what_was_kept()
        self.settings.on_change(self._keep)
        tasks = Tasks(self.database, config.seed)
        self.runner = Runner(tasks, self.settings, self.faults, config.data / "downloads", config.seed)
        self.oss = OssService(config, self.settings, self.database)
        self.dashscope = DashScopeService(config, self.settings, tasks, self.runner, self.faults)
        self.control = Control(
            config, settings=self.settings, faults=self.faults, tasks=tasks, runner=self.runner,
            dashscope=self.dashscope,
        )  # fmt: skip

    def __call__(self, request: Request) -> Response:
        """The answer to one request."""
        started = time.monotonic()
        if request.path.startswith(PREFIX):
            return self.control.answer(request)
        is_api = request.path.startswith("/api/v1/")
        fault = self.faults.take(
            self._places(request, is_api=is_api), lambda: self._subject(request, is_api=is_api), _REQUEST_KINDS
        )
        response = self._answer_with(fault, request, is_api=is_api) if fault else self._answer(request, is_api=is_api)
        if self.settings.value.clock_offset_seconds:
            response.headers["Date"] = formatdate(self.settings.now(), usegmt=True)
        log.debug(
            "answered",
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status,
                "s": time.monotonic() - started,
            },
        )
        return response

    def idle_seconds(self) -> float:
        """How long a connection may be silent between two requests."""
        return self.settings.value.idle_seconds

    def _seed_of_this_start(self, seed: str | None) -> str | None:
        """Another one at each start, or the first calls after a restart would meet the same faults for ever."""
        if seed is None:
            return None
        start = int(self.database.kept("starts") or 0) + 1
        self.database.keep("starts", str(start))
        return f"{seed}/{start}"

    def _take_up_what_was_kept(self) -> None:
        """Settings and faults of the last time, where the setting `keep` asked for that."""
        kept = self.database.kept("settings")
        if kept is None:
            return
        faults = json.loads(self.database.kept("faults") or "[]")
        with suppress(BadSettingError, BadFaultError):  # written by another version of the sandbox
            self.settings.change(json.loads(kept))
            for fault in faults:
                self.faults.add({name: value for name, value in fault.items() if name != "number"})

    def _keep(self) -> None:
        """Write down settings and faults, or forget what was written."""
        settings = self.settings.value
        if settings.keep or self.database.kept("settings") is not None:
            with self.database.transaction():
                self.database.keep("settings", json.dumps(asdict(settings)) if settings.keep else None)
                self.database.keep("faults", json.dumps(self.faults.waiting()) if settings.keep else None)

    def _answer(self, request: Request, *, is_api: bool) -> Response:
        return self.dashscope.answer(request) if is_api else self.oss.answer(request)

    def _places(self, request: Request, *, is_api: bool) -> list[str]:
        """The names under which a fault may wait for this request."""
        if is_api:
            place = self.dashscope.place(request)
            return ["api", place] if place else []
        if request.method == "OPTIONS":
            return []
        places = ["oss"]
        pieces = {piece.partition("=")[0] for piece in request.query_string.split("&")}
        if request.method == "PUT":
            places.append("oss-part" if "uploadId" in pieces else "oss-put")
        elif request.method in ("GET", "HEAD"):
            places.append(f"oss-{request.method.lower()}")
        elif request.method == "POST" and "uploadId" in pieces:
            places.append("oss-complete")
        return places

    def _answer_with(self, fault: Fault, request: Request, *, is_api: bool) -> Response:
        log.info("fault", extra={"where": fault.where, "kind": fault.kind})
        if fault.kind == "refuse":
            return Response(0, cut=True)
        if fault.kind == "status":
            return self._status(fault, request, is_api=is_api)
        if fault.kind == "drop" and request.method in ("PUT", "POST"):
            request.body.cut_after = fault.after_bytes or 0
        if fault.kind == "slow" and fault.after_bytes is None:
            _dawdle(request, fault.seconds, is_api=is_api)
        if fault.kind == "make_later":
            response = self.dashscope.answer(request, make_after=fault.seconds)
        else:
            response = self._answer(request, is_api=is_api)
        _spoil(response, fault)
        return response

    def _status(self, fault: Fault, request: Request, *, is_api: bool) -> Response:
        message = fault.message or "The sandbox was told to answer so."
        if is_api:
            code = fault.code or _API_CODES.get(fault.status, "InternalError")
            return refusal(ApiError(fault.status, code, message, fault.retry_after), str(uuid.uuid4()))
        code = fault.code or _OSS_CODES.get(fault.status, "InternalError")
        response = self.oss.refusal(OssError(fault.status, code, message), request)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        try:
            bucket = self.oss.target(request).bucket
        except BadRequestError:
            bucket = ""
        return self.oss.finish(request, response, bucket)

    def _subject(self, request: Request, *, is_api: bool) -> str:
        """What a fault's `match` is looked for in: the address, for DashScope the account, for a submit its body."""
        text = f"{request.path}?{request.query_string}"
        if is_api:
            text += f" account={self.dashscope.account(request)}"
        if request.method == "POST" and request.path.startswith("/api/v1/services/"):
            try:
                text += " " + request.body.read_all(_MAX_BODY).decode("utf-8", "replace")
            except BodyTooLargeError:
                return text
        return text


def _dawdle(request: Request, seconds: float, *, is_api: bool) -> None:
    """Take the body of a call first: its client may be gone when it is wanted."""
    if is_api:
        with suppress(BodyTooLargeError):
            request.body.read_all(_MAX_BODY)
    time.sleep(seconds)


def _spoil(response: Response, fault: Fault) -> None:
    """What a fault does to an answer, once everything is done."""
    if fault.kind in ("lose_answer", "make_later"):
        response.cut = True
    elif fault.kind == "answer_late":
        time.sleep(fault.seconds)
    elif fault.kind == "drop":
        response.cut_after = fault.after_bytes or 0
        response.cut = not response.slices
    elif fault.kind == "slow" and fault.after_bytes is not None:
        response.stall = (fault.after_bytes, fault.seconds)
