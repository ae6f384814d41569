"""DashScope and OSS as objects, in place of the clients: quick enough for thousands of steps, with every odd answer.

What they do is what the real ones are documented to do (docs/alibaba.md 3). What is read and written over HTTP is
proved with the sandbox as a process, in tests/chaos/ and tests/integration/.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from templategen.clients.dashscope import (
    CANCELED_WORD,
    FAILED_WORD,
    PENDING_WORD,
    UNKNOWN_WORD,
    DashScopeError,
    NeverSentError,
    RefusedError,
    Task,
    TaskPage,
    UnknownOutcomeError,
)
from templategen.clients.storage import StorageUnreachableError, StoredObject, UploadGoneError
from tests.property.clock import Clock

MODEL = "animate-anyone-template-gen2"
KEPT = timedelta(hours=24)
ENDS = frozenset({"SUCCEEDED", "SUCCEED", "NO ID", FAILED_WORD, CANCELED_WORD})
_HOST = "http://oss.example"


def refusal(status: int, code: str, *, request_id: str = "r", retry_after: float | None = None) -> RefusedError:
    """An answer that says no."""
    return RefusedError(status=status, code=code, message="no", request_id=request_id, retry_after=retry_after)


# What may be answered instead of what was asked for, by a name that says so in a failing sequence.
FAULTS: dict[str, Callable[[], DashScopeError]] = {
    "throttled": lambda: refusal(429, "Throttling.RateQuota"),
    "throttled, come back in 7 s": lambda: refusal(429, "Throttling", retry_after=7.0),
    "overdue bill as 429": lambda: refusal(429, "PrepaidBillOverdue"),
    "no such key": lambda: refusal(401, "InvalidApiKey"),
    "not allowed": lambda: refusal(403, "AccessDenied"),
    "nothing here": lambda: refusal(404, ""),
    "odd parameter": lambda: refusal(400, "InvalidParameter"),
    "server error": lambda: UnknownOutcomeError("500 InternalError", request_id="r"),
    "no answer": lambda: UnknownOutcomeError("ReadTimeout"),
    "no connection": lambda: NeverSentError("ConnectTimeout"),
}
# A submit that was refused: nothing was made.
REFUSALS: dict[str, Callable[[], DashScopeError]] = {
    "refused: the clip": lambda: refusal(400, "InvalidFile.Duration"),
    "refused: its address": lambda: refusal(400, "InvalidURL.Timeout"),
    "refused: throttled": lambda: refusal(429, "Throttling.BurstRate"),
    "refused: arrears": lambda: refusal(400, "Arrearage"),
    "refused: no such key": lambda: refusal(401, "InvalidApiKey"),
    "refused: its own failure": lambda: refusal(400, "InternalError.Algo"),
    "never sent": lambda: NeverSentError("ConnectTimeout"),
}


@dataclass
class Made:
    """A task at the service. ``word`` "NO ID": a success whose template ID is missing."""

    task_id: str
    key: str
    attempt: int
    made_at: datetime
    listed_at: datetime
    request_id: str
    model: str = MODEL
    word: str = PENDING_WORD
    began_at: datetime | None = None
    ended_at: datetime | None = None
    # For so long the service says UNKNOWN of it although it has it.
    hidden_until: datetime | None = None

    @property
    def is_foreign(self) -> bool:
        """Another program's."""
        return not self.key

    @property
    def template_id(self) -> str:
        """What a success gives."""
        return f"AACT.{self.task_id}" if self.word in {"SUCCEEDED", "SUCCEED"} else ""


class Service:
    """DashScope. ``calling`` is told of each call before anything of it happens, and may let other things happen."""

    def __init__(self, clock: Clock, *, ahead: timedelta, tells_time: bool, calling: Callable[[str], None]) -> None:
        self._clock = clock
        self._ahead = ahead
        self._tells_time = tells_time
        self._calling = calling
        self._numbers = count(1)
        self.made: dict[str, Made] = {}
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        # What carries out the present submit: asked with the clip's key.
        self.on_submit: Callable[[str], Task] | None = None

    # --- what the test does to it ---

    def make(self, key: str, attempt: int, *, later: float = 0.0, lag: float = 0.0, model: str = MODEL) -> Made:
        """A task, ``later`` seconds from now, in the list ``lag`` seconds after that."""
        number = next(self._numbers)
        at = self._clock.at + timedelta(seconds=later)
        made = Made(f"task-{number}", key, attempt, at, at + timedelta(seconds=lag), f"submit-{number}", model)
        self.made[made.task_id] = made
        return made

    def move(self, made: Made, word: str) -> None:
        """The task goes on to what ``word`` says; never back, never from an end."""
        if made.word in ENDS or self._clock.at < made.made_at or (word == PENDING_WORD and made.word != PENDING_WORD):
            return
        if word == UNKNOWN_WORD:
            made.hidden_until = self._clock.at + timedelta(seconds=300)
            return
        made.word = word
        if word != PENDING_WORD:
            made.began_at = made.began_at or self._clock.at
        if word in ENDS:
            made.ended_at = self._clock.at

    def open_tasks(self) -> list[Made]:
        """Those that have not ended."""
        return [made for made in self.made.values() if made.word not in ENDS and made.made_at <= self._clock.at]

    def has(self, made: Made) -> bool:
        """Whether it tells of the task when asked now."""
        now = self._clock.at
        hidden = made.hidden_until is not None and now < made.hidden_until
        return made.made_at <= now and not hidden and self.keeps(made)

    def keeps(self, made: Made) -> bool:
        """Whether the task's result is not thrown away yet."""
        return made.ended_at is None or self._clock.at - made.ended_at < KEPT

    def calm(self) -> None:
        """From now on it is well."""
        self.faults.clear()
        for made in self.made.values():
            made.hidden_until = None

    # --- what the product asks of it ---

    def submit_template(self, *, video_url: str) -> Task:
        """The paid call."""
        assert self.on_submit is not None, "a paid call that nobody told the queue to make"
        return self.on_submit(urlsplit(video_url).path.lstrip("/"))

    def get_task(self, task_id: str) -> Task:
        """One task as it is now."""
        self._begin("get")
        made = self.made.get(task_id)
        if made is None or not self.has(made):
            return Task(task_id, UNKNOWN_WORD, request_id="r")
        times = {"submit_time": made.made_at, "scheduled_time": made.began_at, "end_time": made.ended_at}
        output = {name: self._there(at).replace(tzinfo=None).isoformat(" ") for name, at in times.items() if at}
        task = Task(task_id, made.word, request_id="r", answer={"output": output})
        if made.word == "NO ID":
            return replace(task, status="SUCCEEDED")
        if made.template_id:
            return replace(task, template_id=made.template_id, video_duration=12.0, video_ratio="standard")
        return replace(task, code="InvalidFile.FullBody", message="no") if made.word == FAILED_WORD else task

    def list_tasks(self, *, page: int = 1, page_size: int = 10, any_model: bool = False, **_times: Any) -> TaskPage:
        """A page of the list, the newest first."""
        self._begin("list")
        now = self._clock.at
        shown = [
            made
            for made in reversed(self.made.values())
            if made.listed_at <= now < made.made_at + KEPT and (any_model or made.model == MODEL)
        ]
        rows = [self._row(made) for made in shown[(page - 1) * page_size : page * page_size]]
        at = self._there(now).replace(microsecond=0) if self._tells_time else None
        return TaskPage(rows, page, -(-len(shown) // page_size), len(shown), answered_at=at)

    def cancel_task(self, task_id: str) -> None:
        """Only what waits can be canceled."""
        self._calling("cancel")
        fault = self.faults["cancel"].pop(0) if self.faults["cancel"] else ""
        if fault and fault != "no answer":
            raise FAULTS[fault]()
        made = self.made.get(task_id)
        if made is None or made.word != PENDING_WORD:
            raise refusal(400, "UnsupportedOperation")
        self.move(made, CANCELED_WORD)
        if fault:
            raise FAULTS[fault]()

    def _begin(self, call: str) -> None:
        self._calling(call)
        if self.faults[call]:
            raise FAULTS[self.faults[call].pop(0)]()

    def _there(self, at: datetime) -> datetime:
        return at + self._ahead

    def _row(self, made: Made) -> dict[str, Any]:
        def milliseconds(at: datetime | None) -> int | None:
            return int(self._there(at).timestamp() * 1000) if at else None

        return {
            "task_id": made.task_id,
            "status": "SUCCEEDED" if made.word == "NO ID" else made.word,
            "model_name": made.model,
            "request_id": made.request_id,
            "gmt_create": milliseconds(made.made_at),
            "start_time": milliseconds(made.began_at),
            "end_time": milliseconds(made.ended_at),
        }


class Bucket:
    """OSS: every part arrives whole. ``fails``: so many of the next calls have no answer."""

    def __init__(self) -> None:
        self.fails = 0
        self.objects: set[str] = set()
        self.uploads: dict[str, str] = {}
        self._numbers = count(1)

    def _answer(self) -> None:
        if self.fails:
            self.fails -= 1
            raise StorageUnreachableError(status=0, code="Timeout", message="no answer from OSS")

    def begin_multipart(self, key: str, *, content_type: str) -> str:
        """Begin an upload."""
        self._answer()
        upload_id = f"upload-{next(self._numbers)}"
        self.uploads[upload_id] = key
        return upload_id

    def list_parts(self, key: str, upload_id: str) -> dict[int, tuple[int, str]]:
        """One part, whole."""
        self._answer()
        if upload_id not in self.uploads:
            raise UploadGoneError(status=404, code="NoSuchUpload", message="")
        return {1: (SIZE, "etag")}

    def complete_multipart(self, key: str, upload_id: str, parts: dict[int, tuple[int, str]]) -> None:
        """Make the object."""
        self._answer()
        if self.uploads.pop(upload_id, None) is None:
            raise UploadGoneError(status=404, code="NoSuchUpload", message="")
        self.objects.add(key)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Throw the parts away."""
        self._answer()
        self.uploads.pop(upload_id, None)

    def head(self, key: str) -> StoredObject | None:
        """The object's facts."""
        self._answer()
        return StoredObject(SIZE, "etag", "1", "video/mp4") if key in self.objects else None

    def put(self, key: str, data: bytes | BinaryIO, *, content_type: str) -> None:
        """Store a small object."""
        self._answer()
        self.objects.add(key)

    def delete(self, *keys: str) -> None:
        """Remove objects."""
        self._answer()
        self.objects.difference_update(keys)

    def sign_get(self, key: str, *, seconds: int) -> str:
        """An address of the object."""
        return f"{_HOST}/{key}"


SIZE = 1_000_000
