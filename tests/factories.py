"""Rows for tests of pages and queries. Rows only: no object in OSS stands behind them."""

import secrets
from typing import Any

from django.utils import timezone

from accounts.models import Account
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import FOR_A_PERSON, State

FACTS = {
    "container": "mp4",
    "codec": "h264",
    "size_bytes": 4_718_592,
    "width": 1080,
    "height": 1920,
    "rotation": 0,
    "fps": 24.0,
    "variable_fps": False,
    "frames": 289,
    "duration_s": 12.04,
    "claimed_duration_s": 12.04,
    "container_duration_s": 12.04,
    "has_audio": True,
    "audio_codec": "aac",
    "video_streams": 1,
    "streams": 2,
    "pixel_format": "yuv420p",
    "sample_aspect": "1:1",
    "fragmented": False,
}
FINDINGS = [
    {
        "rule": "container",
        "verdict": "pass",
        "measured": "mp4",
        "limit": {"allowed": ["mp4", "avi", "mov"]},
        "code": "ok",
    },
    {"rule": "codec", "verdict": "pass", "measured": "h264", "limit": {"allowed": ["h264", "hevc"]}, "code": "ok"},
    {"rule": "fps", "verdict": "pass", "measured": 24.0, "limit": {"unit": "fps", "min": 24}, "code": "ok"},
    {
        "rule": "duration",
        "verdict": "pass",
        "measured": 12.04,
        "limit": {"unit": "s", "min": 2, "max": 60},
        "code": "ok",
    },
]
TOO_SLOW = [
    {"rule": "fps", "verdict": "fail", "measured": 10.0, "limit": {"unit": "fps", "min": 24}, "code": "too_low"},
    {
        "rule": "duration",
        "verdict": "fail",
        "measured": 139.3,
        "limit": {"unit": "s", "min": 2, "max": 60},
        "code": "too_high",
    },
]
_UNCHECKED = {State.UPLOADING, State.CHECKING}
_HAS_TASK = {State.PENDING, State.RUNNING, State.READY, State.LOST}


def make_clip(account: Account, **values: Any) -> Clip:
    """A stored, checked and passed clip unless ``values`` say otherwise."""
    now = timezone.now()
    token = secrets.token_hex(12)
    return Clip.objects.create(
        account=account,
        **{
            "object_key": f"clips/{token}",
            "poster_key": f"posters/{token}.webp",
            "file_name": "dance.mp4",
            "size_bytes": 4_718_592,
            "part_size": 8 * 1024 * 1024,
            "stored_at": now,
            "facts": FACTS,
            "findings": FINDINGS,
            "duration_s": 12.04,
            "checked_at": now,
            "passed": True,
            **values,
        },
    )


def make_template(account: Account, state: State = State.READY, **values: Any) -> ActionTemplate:
    """A template in ``state`` with what that state implies; ``clip`` may be given."""
    state = State(state)
    clip = values.pop("clip", None) or make_clip(account, **_clip_values(state))
    defaults: dict[str, Any] = {"name": "Dance", "state": state}
    if state in _HAS_TASK:
        defaults["task_id"] = f"task-{secrets.token_hex(8)}"
    if state is State.READY:
        defaults |= {
            "template_id": f"AACT.{secrets.token_hex(4)}.{secrets.token_hex(4)}-{secrets.token_hex(6)}",
            "video_duration": 12.04,
            "video_ratio": "standard",
            "request_id": secrets.token_hex(8),
            "ready_at": timezone.now(),
        }
    if state is State.SUBMITTING:
        defaults["claim_token"] = secrets.token_hex(8)
    if state is State.UNCONFIRMED:
        # The machine has given up looking: a person may decide.
        defaults |= {"error_code": FOR_A_PERSON}
    if state is State.FAILED:
        defaults |= {"error_code": "InvalidFile.FullBody", "error_message": "Human not fullbody"}
    template = ActionTemplate(account=account, clip=clip, **{**defaults, **values})
    template.search_text = template.words_to_search()
    template.save(force_insert=True)
    Event.objects.create(template=template, kind=Event.Kind.STARTED)
    return template


def _clip_values(state: State) -> dict[str, Any]:
    if state in _UNCHECKED:
        return {"facts": {}, "findings": [], "checked_at": None, "passed": False, "duration_s": None, "poster_key": ""}
    if state is State.BLOCKED:
        return {"findings": TOO_SLOW, "passed": False}
    return {}
