"""The chunks of an AVI file (RIFF): header, movi list and the index behind it. Runs inside the probe's child."""

import struct
from typing import NamedTuple

from templategen.video.boxes import MOST_STREAMS
from templategen.video.reader import Reader
from templategen.video.reject import Reject

MOST_HEADER_BYTES = 4 << 20
MOST_INDEX_BYTES = 32 << 20
MOST_CHUNKS = 4_000


class Avi(NamedTuple):
    """What the header says; `frames` and the rates are claims."""

    streams: int
    video_streams: int
    audio_streams: int
    rate: int  # of the first video stream: rate / scale frames per second
    scale: int
    frames: int
    cut: bool  # the file ends before the movi list or the index does


def read_avi(reader: Reader) -> Avi:
    """Walk the top level, with the header and the index prefetched. Reject where something is missing."""
    header: Avi | None = None
    index = False
    cut = False
    offset = 12
    for _ in range(MOST_CHUNKS):
        head = reader.at(offset, 12)
        if len(head) < 8:
            break
        kind, size = struct.unpack_from("<4sI", head)
        listed = head[8:12] if kind == b"LIST" else b""
        if listed == b"hdrl":
            header = _header(reader.prefetch(offset + 12, min(size - 4, MOST_HEADER_BYTES)) if size > 4 else b"")
        elif listed == b"movi":
            cut = offset + 8 + size > reader.size or size <= 4
            index = index or _has_super_index(reader, offset)
        elif kind == b"idx1":
            index = True
            if size > MOST_INDEX_BYTES:
                raise Reject("readable", "too_big", size)
            cut = cut or offset + 8 + size > reader.size
            reader.prefetch(offset, size + 8)
            break
        offset += 8 + size + size % 2
    if header is None:
        raise Reject("readable", "truncated" if reader.size < MOST_HEADER_BYTES else "unreadable")
    if not index:
        raise Reject("readable", "truncated" if cut else "no_index")
    return header._replace(cut=cut)


def _has_super_index(reader: Reader, movi: int) -> bool:
    """OpenDML files carry `indx` in the header instead of `idx1` behind the movi list."""
    return b"indx" in reader.at(12, min(movi, MOST_HEADER_BYTES))


def _header(hdrl: bytes) -> Avi:
    kinds = []
    rate = scale = frames = frame_us = 0
    offset = 0
    for _ in range(MOST_CHUNKS):
        if offset + 8 > len(hdrl):
            break
        kind, size = struct.unpack_from("<4sI", hdrl, offset)
        body = hdrl[offset + 8 : offset + 8 + size]
        if kind == b"avih" and len(body) >= 4:
            (frame_us,) = struct.unpack_from("<I", body)
        elif kind == b"LIST" and body[:4] == b"strl" and body[4:8] == b"strh" and len(body) >= 48:
            kinds.append(body[12:16])
            if body[12:16] == b"vids" and kinds.count(b"vids") == 1:
                scale, rate, _, frames = struct.unpack_from("<IIII", body, 32)
        offset += 8 + size + size % 2
    if len(kinds) > MOST_STREAMS:
        raise Reject("readable", "too_many_streams", len(kinds))
    if not (rate and scale):
        # What FFmpeg does too: the main header's frame time stands in for a stream rate that is missing.
        rate, scale = (1_000_000, frame_us) if frame_us else (0, 1)
    return Avi(len(kinds), kinds.count(b"vids"), kinds.count(b"auds"), rate, scale, frames, cut=False)
