"""The list of tasks: what is asked for, and how a task looks in it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from templategen.sandbox.config import Settings
from templategen.sandbox.dashscope.errors import invalid
from templategen.sandbox.dashscope.tasks import Search, Task
from templategen.sandbox.http import whole_number

REGION = "cn-beijing"
_DAY = 86_400.0
_MAX_PAGE_NO = 10**6
_HUGE = 10**9
_FILTERS = ("task_id", "model_name", "status", "api_key_id")
_KEY_STEM = "apikey:v1:aigc:image2video:aa-template-generation:"


class Clock:
    """DashScope's own clock, which a setting can put wrong, and its time zone. The sandbox itself keeps true times."""

    def __init__(self, settings: Settings) -> None:
        self._offset = settings.clock_offset_seconds
        self._zone = timezone(timedelta(hours=settings.utc_offset_hours))

    def text(self, moment: float) -> str:
        """As in the answer about one task: no time zone."""
        return datetime.fromtimestamp(moment + self._offset, self._zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

    def milliseconds(self, moment: float) -> int:
        """As in the list."""
        return int((moment + self._offset) * 1000)

    def moment(self, text: str, name: str) -> float | None:
        """The true moment that a bound of the list's window means; None for an empty text. Raises ApiError."""
        if not text:
            return None
        try:
            if len(text) != 14 or not text.isascii() or not text.isdigit():
                text = ""
            there = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=self._zone).timestamp()
        except (ValueError, OverflowError):
            raise invalid(f"{name} must look like YYYYMMDDhhmmss.") from None
        return there - self._offset


def search(params: Mapping[str, str], account: str, settings: Settings, now: float) -> Search:
    """What a list call asks for, and `now` (a true moment) allows to be seen. Raises ApiError."""
    since, until = _window(params, Clock(settings), now)
    if settings.list_lag_seconds:
        until = min(until, now - settings.list_lag_seconds)
    filters = {name: params[name] for name in _FILTERS if params.get(name)}
    return Search(account, since, until, now - settings.retention_hours * 3600, filters)


def pages(params: Mapping[str, str], settings: Settings) -> tuple[int, int]:
    """Number and size of the page. Raises ApiError."""
    page_no = _number(params, "page_no", 1, _MAX_PAGE_NO)
    if settings.list_page_clamp:
        return page_no, min(_number(params, "page_size", 10, _HUGE), settings.list_page_max)
    return page_no, _number(params, "page_size", min(10, settings.list_page_max), settings.list_page_max)


def row(task: Task, clock: Clock) -> dict[str, object]:
    """A task in the list: no input, no output, no template ID."""
    uid = _uid(task.account)
    shown: dict[str, object] = {
        "api_key_id": task.api_key_id,
        "caller_parent_id": uid,
        "caller_uid": uid,
        "gmt_create": clock.milliseconds(task.submitted),
        "model_name": task.model,
        "region": REGION,
        "request_id": task.request_id,
        "status": task.status,
        "task_id": task.task_id,
        "user_api_unique_key": _KEY_STEM + task.model,
    }
    if task.scheduled is not None:
        shown["start_time"] = clock.milliseconds(task.scheduled)
    if task.ended is not None:
        shown["end_time"] = clock.milliseconds(task.ended)
    if task.status == "FAILED":
        shown |= {"code": task.code or "", "message": task.message or ""}
    return shown


@lru_cache(maxsize=256)
def _uid(account: str) -> str:
    return str(10**15 + int(hashlib.sha256(account.encode()).hexdigest()[:12], 16) % 10**15)


def _window(params: Mapping[str, str], clock: Clock, now: float) -> tuple[float, float]:
    """The time window as true moments; both bounds count, to the second."""
    since = clock.moment(params.get("start_time", ""), "start_time")
    until = clock.moment(params.get("end_time", ""), "end_time")
    if since is None and until is None:
        return now - _DAY, now + 1
    if since is None:
        since = (until or 0.0) - _DAY
    if until is None:
        until = since + _DAY
    if until < since or until - since > _DAY:
        raise invalid("The time range must not exceed 24 hours, and must not end before it starts.")
    return since, until + 0.999


def _number(params: Mapping[str, str], name: str, default: int, high: int) -> int:
    number = whole_number(params.get(name, "") or str(default), 1, high)
    if number is None:
        raise invalid(f"{name} must be between 1 and {high}.")
    return number
