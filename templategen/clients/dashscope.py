"""DashScope's asynchronous tasks, as far as action templates need them.

Facts: "API page" = animate-anyone-template-api (October 2025), "task page" = "Asynchronous task management API" (March
2026), "error page" = "Error messages". This module knows no Django and logs nothing.
"""

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import NameResolutionError, NewConnectionError

from templategen.clients.http import TimeoutSession, UnwritableError
from templategen.redact import redact

# "SUCCEED" stands in the API page's table, "SUCCEEDED" in its sample and in the SDK.
SUCCESS_WORDS = frozenset({"SUCCEEDED", "SUCCEED"})
FAILED_WORD, CANCELED_WORD, UNKNOWN_WORD, PENDING_WORD = "FAILED", "CANCELED", "UNKNOWN", "PENDING"
# Far longer than any video that may be sent.
_MOST_SECONDS = 1_000_000
# A page of a hundred tasks has some fifty kilobytes; whatever is longer is no answer of this service.
_MOST_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class DashScopeError(Exception):
    """A call that did not do what was asked."""


class NeverSentError(DashScopeError):
    """The request provably did not reach DashScope (no connection was made): asking again costs nothing."""


class UnusableKeyError(NeverSentError):
    """The key cannot be used at all, so nothing is asked with it: and never with another one in its place.

    ``code``: UNREADABLE (its ciphertext opens with none of the site's keys) or NOT_ALLOWED (its address).
    """

    UNREADABLE = "credential.unreadable"
    NOT_ALLOWED = "credential.address"

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UnknownOutcomeError(DashScopeError):
    """The request left, no usable answer came: DashScope may have done it, or not (error page: 500, 503).

    ``request_id`` is the answer's where one came: a task that the list shows with it is this request's.
    ``retry_after`` seconds where the answer named them.
    """

    def __init__(self, text: str = "", *, request_id: str = "", retry_after: float | None = None) -> None:
        super().__init__(text)
        self.request_id = request_id
        self.retry_after = retry_after


class RefusedError(DashScopeError):
    """DashScope answered and said no: nothing was made.

    ``status`` is the HTTP status, ``code`` and ``message`` DashScope's own, ``request_id`` what its support asks for,
    ``retry_after`` seconds where the answer named them.
    """

    def __init__(
        self, *, status: int, code: str, message: str, request_id: str, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after


@dataclass(frozen=True)
class Task:
    """What DashScope says of one task (API page, "Task status query"); missing fields are empty."""

    task_id: str
    status: str
    template_id: str = ""
    video_duration: float | None = None
    video_ratio: str = ""
    code: str = ""
    message: str = ""
    request_id: str = ""
    answer: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def succeeded(self) -> bool:
        """Done, with a template ID."""
        return self.status in SUCCESS_WORDS


@dataclass(frozen=True)
class TaskPage:
    """One page of the task list (task page, "Batch query"); it never carries template IDs."""

    rows: list[dict[str, Any]]
    page: int
    pages: int
    total: int
    # The service's own clock, as its answer's Date says.
    answered_at: datetime | None = None
    # Whether the answer had a list in it at all, and nothing else than rows in the list.
    readable: bool = True


def _text(value: object, *, longest: int = 100) -> str:
    """A text that any database takes: without NUL and half characters, at most ``longest``; "" for anything else.

    Whatever the service says must not keep its answer from being stored.
    """
    if not isinstance(value, str):
        return ""
    return _storable(value)[:longest]


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the task list with texts that any database takes, and can be asked about."""
    return {name: _storable(value) if isinstance(value, str) else value for name, value in row.items()}


def _number(value: object) -> float | None:
    """A finite number; None for anything else. JSON knows integers that no float holds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _seconds(value: object) -> float | None:
    """A length that a video may have; None for anything else, as where nothing was said.

    The account's quota is booked with it: nonsense must not keep a template ID from being stored.
    """
    number = _number(value)
    return number if number is not None and 0 <= number <= _MOST_SECONDS else None


def _section(answer: dict[str, Any], name: str) -> dict[str, Any]:
    section = answer.get(name)
    return section if isinstance(section, dict) else {}


def _is_list_of_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


@dataclass(frozen=True)
class _Answer:
    content: dict[str, Any]
    date: datetime | None

    @property
    def request_id(self) -> str:
        return _text(self.content.get("request_id"))


# Said by whatever stands before the service when it gave up waiting: the service itself may have done it.
_UNSURE = frozenset({408, 499})


def _never_left(problem: requests.RequestException) -> bool:
    """Whether no connection was made. ``requests`` says ConnectionError for "refused" and "cut off" alike."""
    if isinstance(problem, requests.ConnectTimeout | UnwritableError):
        return True
    reason = getattr(problem.args[0], "reason", None) if problem.args else None
    return isinstance(reason, (NewConnectionError, NameResolutionError))


class DashScope:
    """One API key's view of the service."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        workspace: str = "",
        trailing_slash: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self._base = base_url.rstrip("/")
        self.model = model
        self._submit_path = "/services/aigc/image2video/aa-template-generation" + ("/" if trailing_slash else "")
        self._timeout = timeout
        self._headers = {"Authorization": f"Bearer {api_key}"}
        if workspace:
            self._headers["X-DashScope-WorkSpace"] = workspace
        self._session = self._new_session()

    def submit_template(self, *, video_url: str) -> Task:
        """Ask for an action template of the clip at ``video_url``: **a paid call**, sent exactly once.

        Raises RefusedError (nothing made), NeverSentError (nothing made) or UnknownOutcomeError (maybe made: not to
        be sent again). API page, "Task submission".
        """
        # A connection of its own: one kept open may have died unseen, and then nobody knows what became of it.
        with self._new_session() as session:
            answer = self._call(
                "POST",
                self._submit_path,
                session=session,
                json={"model": self.model, "input": {"video_url": video_url}, "parameters": {}},
                headers={"X-DashScope-Async": "enable", "Connection": "close"},
            )
        task = self._task(answer.content)
        # One that cannot be kept as it is could never be asked for.
        if not task.task_id or task.task_id != _section(answer.content, "output").get("task_id"):
            raise UnknownOutcomeError("a success without a task_id", request_id=answer.request_id)
        return task

    def get_task(self, task_id: str) -> Task:
        """The task as it is now. A task that is not there, or another account's, has status UNKNOWN (task page)."""
        task = self._task(self._call("GET", _path_of(task_id)).content)
        if task.task_id.lower() not in {"", task_id.lower()}:
            # What stands between has mixed up its answers: the template ID of another would be stored.
            raise UnknownOutcomeError("an answer about another task")
        return task

    def list_tasks(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        page: int = 1,
        page_size: int = 10,
        any_model: bool = False,
    ) -> TaskPage:
        """Tasks of this model in a window of at most 24 hours; without bounds the last 24 hours (task page).

        The filters' time zone is not documented; ``start`` and ``end`` go out as the clock of the zone they carry.
        """
        params: dict[str, str | int] = {"page_no": page, "page_size": page_size}
        if not any_model:
            params["model_name"] = self.model
        for name, bound in (("start_time", start), ("end_time", end)):
            if bound is not None:
                params[name] = bound.strftime("%Y%m%d%H%M%S")
        answer = self._call("GET", "/tasks/", params=params)
        rows = answer.content.get("data")
        return TaskPage(
            rows=[_row(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else [],
            page=page,
            pages=int(_number(answer.content.get("total_page")) or 0),
            total=int(_number(answer.content.get("total")) or 0),
            answered_at=answer.date,
            readable=_is_list_of_rows(rows) and bool(rows or "total" in answer.content),
        )

    def cancel_task(self, task_id: str) -> None:
        """Take a PENDING task out of the line; RefusedError with UnsupportedOperation when it has begun (task page)."""
        self._call("POST", f"{_path_of(task_id)}/cancel")

    def _new_session(self) -> TimeoutSession:
        session = TimeoutSession(timeout=self._timeout)
        session.headers.update(self._headers)
        return session

    def _call(self, method: str, path: str, *, session: TimeoutSession | None = None, **kwargs: Any) -> _Answer:
        try:
            # As a stream, for its length is looked at.
            response = (session or self._session).request(method, self._base + path, stream=True, **kwargs)
            body = _body(response)
        except (requests.RequestException, UnicodeError) as problem:
            if isinstance(problem, requests.RequestException) and _never_left(problem):
                raise NeverSentError(type(problem).__name__) from problem
            raise UnknownOutcomeError(type(problem).__name__) from problem
        status = response.status_code
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if 200 <= status < 300:
            if not isinstance(answer, dict):
                raise UnknownOutcomeError("a success without JSON")
            return _Answer(answer, _date(response))
        if not isinstance(answer, dict):
            answer = {}
        # A redirect too: ``requests`` calls it a success.
        if not 400 <= status < 500 or status in _UNSURE:
            raise UnknownOutcomeError(
                f"{status} {_text(answer.get('code'))}".strip(),
                request_id=_text(answer.get("request_id")),
                retry_after=_retry_after(response),
            )
        raise RefusedError(
            status=status,
            code=_text(answer.get("code")),
            message=_said(answer.get("message")),
            request_id=_text(answer.get("request_id")),
            retry_after=_retry_after(response),
        )

    @staticmethod
    def _task(answer: dict[str, Any]) -> Task:
        output, usage = _section(answer, "output"), _section(answer, "usage")
        return Task(
            task_id=_text(output.get("task_id")),
            status=_text(output.get("task_status")),
            template_id=_text(output.get("template_id"), longest=1000),
            video_duration=_seconds(usage.get("video_duration")),
            video_ratio=_text(usage.get("video_ratio"), longest=50),
            code=_text(output.get("code")),
            message=_said(output.get("message")),
            request_id=_text(answer.get("request_id")),
            answer=answer,
        )


def _path_of(task_id: str) -> str:
    """Opaque text: whatever is in it, no other address may come of it."""
    return f"/tasks/{quote(task_id, safe='')}"


def _body(response: requests.Response) -> bytes:
    """The whole answer, or none of it where it is far too long: it need not fit into memory."""
    with response:
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > _MOST_BYTES:
                return b""
    return bytes(body)


def _said(value: Any) -> str:
    """The service's own words, kept and shown: a refusal may quote the signed address that it could not load."""
    return redact(_text(value, longest=2000))


def _moment(text: str) -> datetime | None:
    """An HTTP date; None for whatever else stands there."""
    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _date(response: requests.Response) -> datetime | None:
    """When the answer was made, by the service's clock."""
    return _moment(response.headers.get("Date", ""))


def _retry_after(response: requests.Response) -> float | None:
    """Seconds named by Retry-After, at most an hour; a moment counts from the answer's own Date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit() and len(value) < 10:
        return min(float(value), 3600.0)
    until = _moment(value)
    if until is None:
        return None
    seconds = (until - (_date(response) or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), 3600.0)
