"""The sandbox's own reading of the input limits, numbers as on the API page ("Input limits", "Status codes").

Deliberately not shared with the product: when both read the page alike, the product's pre-check and this one agree.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from templategen.sandbox.dashscope.tasks import Outcome

MAX_BYTES = 200_000_000
_SIDES = (200, 2048)
_SECONDS = (2.0, 60.0)
_MIN_FPS = 24.0
_MAX_RATIO = 3.0
_CODECS = frozenset({"h264", "hevc"})
_READ_SECONDS = 30.0
# Containers round the length of a frame: 24 fps may come out as 23.998 and 2 s as 1.999.
_FPS_TOLERANCE = 0.01
_SECONDS_TOLERANCE = 0.01

TOO_BIG = Outcome(
    code="InvalidFile.Size",
    message=(
        "Invalid file size. The video file size must be less than 200MB,"
        " and the audio file size must be less than 15MB."
    ),
)
NOT_A_VIDEO = Outcome(code="InvalidFile.Openerror", message="Invalid file, cannot open file as video.")
_FORMAT = Outcome(
    code="InvalidFile.Format", message="Invalid file format, only MP4, AVI or MOV with H.264 or H.265 is supported."
)
_RESOLUTION = Outcome(
    code="InvalidFile.Resolution", message="Invalid video resolution. The height or width of video must be 200 ~ 2048."
)
_RATIO = Outcome(
    code="InvalidFile.AspectRatio",
    message="Invalid file ratio. The file aspect ratio (height/width) must be between 3:1 and 1:3.",
)
_DURATION = Outcome(code="InvalidFile.Duration", message="Invalid file duration. The file duration must be 2s ~ 60s.")
_FPS = Outcome(code="InvalidFile.FPS", message="Invalid video FPS. The video FPS must be at least 24.")


def check_file(path: Path) -> Outcome:
    """The clip's duration in seconds, or the first limit that it breaks.

    Bounded in time and memory whatever the bytes are.
    """
    if path.stat().st_size >= MAX_BYTES:
        return TOO_BIG
    try:
        done = subprocess.run(  # noqa: S603  (our own script, a path of ours)
            [sys.executable, "-I", str(Path(__file__).with_name("reader.py")), str(path)],
            capture_output=True,
            timeout=_READ_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={},
        )
        facts: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"error": "open"}
    except (subprocess.TimeoutExpired, ValueError):
        return NOT_A_VIDEO
    if facts["error"]:
        return _FORMAT if facts["error"] == "format" else NOT_A_VIDEO
    return judge(facts["codec"], facts["width"], facts["height"], facts["fps"], facts["seconds"])


def judge(codec: str, width: int, height: int, fps: float, seconds: float) -> Outcome:
    """The verdict on facts; sides in pixels. Limits on sides and ratio are symmetric, so rotation does not matter."""
    if codec not in _CODECS:
        return _FORMAT
    if not all(_SIDES[0] <= side <= _SIDES[1] for side in (width, height)):
        return _RESOLUTION
    if max(width, height) > _MAX_RATIO * min(width, height):
        return _RATIO
    if not _SECONDS[0] - _SECONDS_TOLERANCE <= seconds <= _SECONDS[1] + _SECONDS_TOLERANCE:
        return _DURATION
    if fps < _MIN_FPS - _FPS_TOLERANCE:
        return _FPS
    return Outcome(duration=round(seconds, 2))
