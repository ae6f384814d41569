"""Small clips made on the spot, good ones and such as break a rule."""

import os
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "mpeg4": "mpeg4"}
_QUICK = {"preset": "ultrafast", "x265-params": "log-level=none"}


def make_clip(
    path: Path,
    *,
    width: int = 512,
    height: int = 704,
    fps: int | Fraction = 24,
    seconds: float = 2.5,
    codec: str = "h264",
    container: str | None = None,
    rotation: int = 0,
    audio: bool = False,
    bitrate: int | None = None,
    faststart: bool = False,
    noise: bool = False,
    x264: str = "",
    **options: str,
) -> Path:
    """A clip that brightens slowly, or of noise (many bytes); valid unless told otherwise.

    Container by suffix or by FFmpeg's name; `x264` are parameters of that encoder, `options` the container's.
    """
    muxing = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", format=container, options={**muxing, **options}) as out:
        quick = {} if codec == "mpeg4" else _QUICK | ({"x264-params": x264} if x264 else {})
        video: Any = out.add_stream(_ENCODERS[codec], rate=fps, options=quick)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = 1 / Fraction(fps)
        if bitrate:
            video.bit_rate = bitrate
        if rotation:
            video.set_display_rotation(-rotation)
        sound: Any = out.add_stream("aac", rate=44100) if audio else None
        frame = av.VideoFrame(width, height, "yuv420p")
        for number in range(round(fps * seconds)):
            for plane in frame.planes:
                size = plane.buffer_size
                plane.update(os.urandom(size) if noise else bytes([number * 3 % 256]) * size)
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if sound is not None:
            _hum(out, sound, seconds)
    return path


@cache
def clip_bytes(*, suffix: str = "mp4", **values: Any) -> bytes:
    """The bytes of such a clip, made once a test run; small unless told otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        return make_clip(Path(folder) / f"clip.{suffix}", **{"width": 256, "height": 352, **values}).read_bytes()


def make_sound(path: Path, *, seconds: float = 2.5) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as out:
        _hum(out, out.add_stream("aac", rate=44100), seconds)
    return path


def _hum(out: Any, stream: Any, seconds: float) -> None:
    for start in range(0, int(44100 * seconds), 1024):
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 44100, start
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
