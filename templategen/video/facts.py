"""What is known of a clip, and the verdicts on it: plain values, JSON both ways."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, Self

Verdict = Literal["pass", "warn", "fail"]
Measured = float | str | None
_KINDS: dict[str, set[type]] = {
    "container codec": {str},
    "size_bytes width height rotation video_streams streams": {int},
    "frames": {int, type(None)},
    "fps duration_s claimed_duration_s container_duration_s": {int, float, type(None)},
    "audio_codec pixel_format sample_aspect": {str, type(None)},
    "variable_fps has_audio fragmented": {bool},
}
LimitValue = dict[str, float | str | bool | list[str] | None]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A clip as its own sample tables describe it, not as its header claims.

    Sides are in pixels as shown, after rotation; times are seconds; `None` means not known from the bytes at hand
    (only so for a fragmented MP4 of which no more than slices were read).
    """

    container: str  # "mp4", "mov", "avi", or FFmpeg's name of another one
    codec: str  # FFmpeg's name: "h264", "hevc", "mpeg4"
    size_bytes: int
    width: int
    height: int
    rotation: int  # degrees clockwise to show the picture upright: 0, 90, 180, 270
    fps: float | None  # frames / duration_s, the real average
    variable_fps: bool
    frames: int | None
    duration_s: float | None  # of the video track, edit list applied
    claimed_duration_s: float | None  # what the header says
    container_duration_s: float | None  # of the longest track
    has_audio: bool
    audio_codec: str | None
    video_streams: int
    streams: int
    pixel_format: str | None
    sample_aspect: str | None  # "1:1"; None where the clip does not say
    fragmented: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Ignore keys of another version. TypeError or ValueError where a value is missing or of the wrong type."""
        known = {field.name: data[field.name] for field in dataclasses.fields(cls) if field.name in data}
        facts = cls(**known)
        facts._check()
        return facts

    def _check(self) -> None:
        for names, kinds in _KINDS.items():
            for name in names.split():
                value = getattr(self, name)
                if type(value) not in kinds:
                    raise TypeError(f"{name} is of the wrong type")
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"{name} is not a finite number")


@dataclass(frozen=True)
class Finding:
    """One rule's verdict on a clip. `measured` and `limit` are numbers and codes; texts live in finding_texts."""

    rule: str
    verdict: Verdict
    measured: Measured
    limit: LimitValue | None
    code: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """KeyError where a part is missing."""
        return cls(data["rule"], data["verdict"], data["measured"], data["limit"], data["code"])
