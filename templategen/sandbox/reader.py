"""Reads one video file in a process of its own and prints what it found as JSON.

Run as a script with the file's path. Limits on memory, time and files are set before the video library is loaded, so
hostile bytes can end this process but nothing else. Answers `{"error": "format" | "open"}` or the facts.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

_MEMORY = 2 << 30
_CPU_SECONDS = 25
_MAX_PIXELS = 8192 * 8192
_MAX_PACKETS = 100_000


def _limit() -> None:
    for which, amount in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(which, (amount, amount))


def demuxer_of(start: bytes) -> str | None:
    """FFmpeg's name of the container, by the first bytes; an empty text for a known one that is not allowed."""
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return "avi"
    if start[:4] == b"\x1aE\xdf\xa3" or start[:3] in (b"FLV", b"GIF") or (start[:1] == b"G" and start[188:189] == b"G"):
        return ""
    return None


def read(path: Path) -> dict[str, Any]:
    """Codec, sides, frames per second (frames counted, not claimed), seconds; or an error word."""
    with path.open("rb") as file:
        demuxer = demuxer_of(file.read(256))
    if not demuxer:
        return {"error": "open" if demuxer is None else "format"}
    import av  # noqa: PLC0415  (only after the limits are set)

    try:
        with av.open(str(path), format=demuxer) as container:
            if not container.streams.video:
                return {"error": "open"}
            stream = container.streams.video[0]
            codec, width, height = stream.codec_context.name, stream.codec_context.width, stream.codec_context.height
            if not 0 < width * height <= _MAX_PIXELS:
                return {"error": "", "codec": codec, "width": width, "height": height, "fps": 0.0, "seconds": 0.0}
            next(container.decode(stream))
            frames, seconds = _count(container, stream)
    except (av.error.FFmpegError, StopIteration, ValueError, MemoryError):
        return {"error": "open"}
    fps = frames / seconds if seconds > 0 else 0.0
    return {"error": "", "codec": codec, "width": width, "height": height, "fps": fps, "seconds": seconds}


def _count(container: Any, stream: Any) -> tuple[int, float]:
    """Frames and the seconds they span, from the packets themselves."""
    container.seek(0, stream=stream)
    frames, first, last = 0, None, None
    for packet in container.demux(stream):
        start = packet.dts if packet.pts is None else packet.pts  # AVI knows the order of decoding only
        if start is None or packet.size == 0:
            continue
        end = start + (packet.duration or 0)
        first = start if first is None else min(first, start)
        last = end if last is None else max(last, end)
        frames += 1
        if frames >= _MAX_PACKETS:
            break
    if first is None or last is None:
        return 0, 0.0
    return frames, float((last - first) * stream.time_base)


if __name__ == "__main__":
    _limit()
    sys.stdout.write(json.dumps(read(Path(sys.argv[1]))))
