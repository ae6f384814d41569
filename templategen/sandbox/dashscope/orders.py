"""Tasks that control has made at once, without a clip and without a submit: for measuring with many of them."""

import random
import time
import uuid
from collections.abc import Mapping

from templategen.sandbox.config import Config, Settings
from templategen.sandbox.dashscope.runner import UNSEEN_SECONDS
from templategen.sandbox.dashscope.service import MODEL, key_id
from templategen.sandbox.dashscope.tasks import Submission

MOST = 100_000
_STATUSES = ("PENDING", "RUNNING", "SUCCEEDED")
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "run_seconds": (0, 86_400),
    "run_spread": (0, 86_400),
    "submitted_ago": (0, 31_536_000),
}
_NOWHERE = "http://127.0.0.1:9/made-by-control.mp4"


class BadOrderError(ValueError):
    """An order that makes no sense; the text says why."""


def parse_order(fields: Mapping[str, object], config: Config, settings: Settings) -> list[Submission]:
    """The tasks that were ordered; raises BadOrderError.

    `count` of them, PENDING, RUNNING or SUCCEEDED, submitted `submitted_ago` seconds ago; each runs `run_seconds`, give
    or take up to `run_spread`, from now on (ended ones: from their submission on), the settings' unless given.
    """
    unknown = fields.keys() - {"count", "account", "status", "video_url", *_NUMBERS}
    if unknown:
        raise BadOrderError(f"unknown field {min(unknown)}; known: count, account, status, video_url, "
                            + ", ".join(_NUMBERS))  # fmt: skip
    count = fields.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise BadOrderError(f"count must be a whole number from 1 to {MOST}")
    status = fields.get("status", "PENDING")
    if status not in _STATUSES:
        raise BadOrderError(f"status must be one of {', '.join(_STATUSES)}")
    caller = _caller(fields.get("account"), config)
    url = fields.get("video_url", _NOWHERE)
    if not isinstance(url, str) or not url.isprintable() or len(url) > 8192:
        raise BadOrderError("video_url must be a printable text")
    run = _number(fields, "run_seconds", settings.run_seconds)
    spread = _number(fields, "run_spread", settings.run_spread)
    submitted = time.time() - _number(fields, "submitted_ago", 0.0)
    dice = random.Random(config.seed)  # noqa: S311  (run times, no secret)
    runs = [max(run + spread * dice.uniform(-1, 1), 0.0) for _ in range(count)]
    if status == "SUCCEEDED":
        runs = [min(run, time.time() - submitted) for run in runs]
    return [_one(str(status), caller, url, submitted, run) for run in runs]


def _one(status: str, caller: tuple[str, str], url: str, submitted: float, run: float) -> Submission:
    scheduled = {"PENDING": None, "RUNNING": time.time(), "SUCCEEDED": submitted}[status]
    return Submission(
        account=caller[0],
        api_key_id=caller[1],
        request_id=str(uuid.uuid4()),
        model=MODEL,
        video_url=url,
        submitted=submitted,
        status=status,
        scheduled=scheduled,
        ended=submitted + run if status == "SUCCEEDED" else None,
        duration=UNSEEN_SECONDS,
        run_seconds=run,
    )


def _caller(account: object, config: Config) -> tuple[str, str]:
    """The account, the first one unless named, and the ID of one of its keys."""
    for key, known in config.api_keys.items():
        if account in (None, known):
            return known, key_id(f"Bearer {key}")
    raise BadOrderError(f"account must be one of {', '.join(sorted(set(config.api_keys.values())))}")


def _number(fields: Mapping[str, object], name: str, default: float) -> float:
    low, high = _NUMBERS[name]
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadOrderError(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)
