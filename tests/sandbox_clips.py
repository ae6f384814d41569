"""Small clips for the sandbox's tests, each made once and kept."""

import os
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import pytest


@cache
def clip(
    width: int = 256,
    height: int = 352,
    fps: int = 24,
    seconds: float = 2.5,
    codec: str = "libx264",
    suffix: str = "mp4",
) -> bytes:
    """The bytes of a clip with a moving grey ramp."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{suffix}"
        with av.open(str(path), "w") as container:
            options = {"preset": "ultrafast", "crf": "40", "bf": "2", "x265-params": "log-level=none"}
            stream: Any = container.add_stream(codec, rate=fps, options=options if codec != "mpeg4" else {})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, fps)
            frame = av.VideoFrame(width, height, "yuv420p")
            for index in range(round(fps * seconds)):
                for plane in frame.planes:
                    plane.update(bytes([index * 2 % 256]) * plane.buffer_size)
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def media_file(name: str) -> Path:
    """A real clip of the shared folder; skips the test where that folder is absent."""
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "media"
    path = Path(os.environ.get("TEMPLATEGEN_MEDIA", default)) / name
    if not path.is_file():
        pytest.skip(f"no real clips here: {path} is missing")
    return path
