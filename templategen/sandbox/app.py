"""Puts the parts together and sends each request to its service, with a fault in between where one waits."""

import logging
import time

from templategen.sandbox.config import Config, LiveSettings
from templategen.sandbox.control import PREFIX, Control
from templategen.sandbox.dashscope.runner import Runner
from templategen.sandbox.dashscope.service import DashScopeService, refusal
from templategen.sandbox.dashscope.tasks import Tasks
from templategen.sandbox.database import Database
from templategen.sandbox.faults import Fault, Faults
from templategen.sandbox.http import BadRequestError, BodyTooLargeError, Request, Response
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.service import OssService, new_request_id

log = logging.getLogger(__name__)

_REQUEST_KINDS = ("refuse", "slow", "lose_answer", "status", "drop")
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
        self.settings = LiveSettings(config.settings)
        self.faults = Faults()
        self.database = Database(config.data / "sandbox.sqlite3")
        tasks = Tasks(self.database, config.seed)
        self.runner = Runner(tasks, self.settings, self.faults, config.data / "downloads")
        self.oss = OssService(config, self.settings, self.database)
        self.dashscope = DashScopeService(config, self.settings, tasks, self.runner, self.faults)
        self.control = Control(self.settings, self.faults, tasks, self.dashscope)

    def __call__(self, request: Request) -> Response:
        """The answer to one request."""
        started = time.monotonic()
        if request.path.startswith(PREFIX):
            return self.control.answer(request)
        is_api = request.path.startswith("/api/v1/")
        fault = self.faults.take(self._places(request, is_api=is_api), lambda: _subject(request), _REQUEST_KINDS)
        response = self._answer_with(fault, request, is_api=is_api) if fault else self._answer(request, is_api=is_api)
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

    def _answer(self, request: Request, *, is_api: bool) -> Response:
        return self.dashscope.answer(request) if is_api else self.oss.answer(request)

    def _places(self, request: Request, *, is_api: bool) -> list[str]:
        """The names under which a fault may wait for this request."""
        if is_api:
            place = self.dashscope.place(request)
            return [place] if place else []
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
            time.sleep(fault.seconds)
        response = self._answer(request, is_api=is_api)
        if fault.kind == "lose_answer":
            response.cut = True
        elif fault.kind == "drop":
            response.cut_after = fault.after_bytes or 0
            response.cut = not response.slices
        elif fault.kind == "slow" and fault.after_bytes is not None:
            response.stall = (fault.after_bytes, fault.seconds)
        return response

    def _status(self, fault: Fault, request: Request, *, is_api: bool) -> Response:
        message = fault.message or "The sandbox was told to answer so."
        if is_api:
            code = fault.code or _API_CODES.get(fault.status, "InternalError")
            return refusal(fault.status, code, message, new_request_id())
        code = fault.code or _OSS_CODES.get(fault.status, "InternalError")
        response = self.oss.refusal(OssError(fault.status, code, message), request)
        try:
            bucket = self.oss.target(request).bucket
        except BadRequestError:
            bucket = ""
        return self.oss.finish(request, response, bucket)


def _subject(request: Request) -> str:
    """What a fault's `match` is looked for in: the address and, for a submit, its body."""
    text = f"{request.path}?{request.query_string}"
    if request.method == "POST" and request.path.startswith("/api/v1/services/"):
        try:
            text += " " + request.body.read_all(1 << 20).decode("utf-8", "replace")
        except BodyTooLargeError:
            return text
    return text
