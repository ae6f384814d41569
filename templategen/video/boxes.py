"""The boxes of an MP4 or MOV file (ISO/IEC 14496-12): where the index lies, and what it says of each track.

FFmpeg reads these too; this reader exists to ask for the index in one piece wherever it lies, to bound what FFmpeg is
given, and to hold the header's claims against the sample tables. Runs inside the probe's child; imports little.
"""

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from templategen.video.reader import Reader
from templategen.video.reject import Reject

MOST_TOP_BOXES = 5_000
MOST_STREAMS = 64
MOST_INDEX_BYTES = 32 << 20
MOST_INNER_BOXES = 4_000
MOST_TIMES = 1_000_000


class Box(NamedTuple):
    """One box; `offset` is its first byte, `body` the first after its header, `end` the one after its last."""

    kind: bytes
    offset: int
    body: int
    end: int


class Layout(NamedTuple):
    """The top level of a file. The fragments, if any, begin with `first_moof`."""

    moov: Box
    sidx: Box | None
    first_moof: Box | None


class Track(NamedTuple):
    """One track's header and sample table; times in seconds."""

    track_id: int
    handler: bytes  # b"vide", b"soun", …
    timescale: int
    claimed_s: float | None  # mdhd
    table_s: float  # sum of the time-to-sample table
    shown_s: float  # after the edit list, as far as that is there
    span_s: float  # the same with a late start counted in
    samples: int
    last_delta: int  # duration of the last sample, in ticks
    even: bool  # all samples but the last take about as long
    rotation: int  # degrees clockwise: 0, 90, 180, 270
    first: tuple[int, int]  # offset and size of the first sample; (0, 0) where the tables do not say


class Movie(NamedTuple):
    """The moov box."""

    claimed_s: float | None  # mvhd
    tracks: tuple[Track, ...]
    fragmented: bool


def layout(reader: Reader) -> Layout:
    """Walk the top level as far as the index. Reject where there is none, or where nothing fits."""
    moov = sidx = moof = None
    cut = False
    for box in top_boxes(reader):
        cut = box.end > reader.size
        if box.kind == b"moov":
            moov = moov or box
        elif box.kind == b"sidx":
            sidx = sidx or box
        elif box.kind == b"moof":
            moof = moof or box
        if moov and moof:
            break
    if moov is None:
        raise Reject("readable", "truncated" if cut else "no_index")
    if moov.end > reader.size:
        raise Reject("readable", "truncated")
    if moov.end - moov.offset > MOST_INDEX_BYTES:
        raise Reject("readable", "too_big", moov.end - moov.offset)
    return Layout(moov, sidx, moof)


def top_boxes(reader: Reader, offset: int = 0) -> Iterator[Box]:
    """The boxes of the top level from `offset` on. Reject where there are absurdly many."""
    for _ in range(MOST_TOP_BOXES):
        if offset + 8 > reader.size:
            return
        box = _header(reader.at(offset, min(16, reader.size - offset)), offset, reader.size)
        if box is None:
            # Bytes that are no box: some recorders leave rubbish behind the last one, which does no harm.
            return
        yield box
        offset = box.end
    raise Reject("readable", "too_big", MOST_TOP_BOXES)


def _header(head: bytes, offset: int, end_of_all: int) -> Box | None:
    if len(head) < 8:
        return None
    size, kind = struct.unpack_from(">I4s", head)
    body = offset + 8
    if size == 1:
        if len(head) < 16:
            return None
        (size,) = struct.unpack_from(">Q", head, 8)
        body = offset + 16
    elif size == 0:
        size = end_of_all - offset
    if offset + size < body:
        return None
    return Box(kind, offset, body, offset + size)


def inner_boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes inside data[start:end], offsets into `data`; ends at the first that does not fit."""
    end = len(data) if end is None else min(end, len(data))
    for _ in range(MOST_INNER_BOXES):
        box = _header(data[start : min(start + 16, end)], start, end)
        if box is None or box.end > end:
            return
        yield box
        start = box.end


def parse_movie(moov: bytes) -> Movie:
    """`moov` is the whole box, header and all. Reject where it has no track or too many."""
    claimed: float | None = None
    timescale = 0
    fragmented = False
    traks = []
    for box in inner_boxes(moov, 8):
        if box.kind == b"mvhd":
            timescale, claimed = _clock(moov[box.body : box.end])
        elif box.kind == b"mvex":
            fragmented = True
        elif box.kind == b"trak":
            traks.append(box)
        elif box.kind == b"cmov":
            raise Reject("readable", "unreadable", "cmov")
    if len(traks) > MOST_STREAMS:
        raise Reject("readable", "too_many_streams", len(traks))
    tracks = tuple(_track(moov, box, timescale) for box in traks)
    return Movie(claimed, tracks, fragmented)


def _track(moov: bytes, trak: Box, movie_timescale: int) -> Track:
    found = _find(moov, trak, {b"mdia", b"minf", b"stbl", b"edts"})

    def body(kind: bytes) -> bytes:
        return moov[found[kind].body : found[kind].end] if kind in found else b""

    timescale, claimed = _clock(body(b"mdhd"))
    samples, ticks, last, even = _times(body(b"stts"))
    table_s = ticks / timescale if timescale else 0.0
    shown, delay = _edited(body(b"elst")) if movie_timescale else (0, 0)
    shown_s = shown / movie_timescale if shown else table_s
    tkhd = body(b"tkhd")
    return Track(
        track_id=_track_id(tkhd),
        handler=body(b"hdlr")[8:12],
        timescale=timescale,
        claimed_s=claimed,
        table_s=table_s,
        shown_s=shown_s,
        span_s=shown_s + (delay / movie_timescale if delay else 0.0),
        samples=samples,
        last_delta=last,
        even=even,
        rotation=_rotation(tkhd),
        first=_first_sample(body(b"stco"), body(b"co64"), body(b"stsz")),
    )


def _find(data: bytes, inside: Box, enter: set[bytes]) -> dict[bytes, Box]:
    """The first box of each kind below `inside`, entering only the kinds named (each holds only boxes)."""
    found: dict[bytes, Box] = {}
    waiting = [inside]
    while waiting:
        outer = waiting.pop(0)
        for box in inner_boxes(data, outer.body, outer.end):
            if box.kind not in found:
                found[box.kind] = box
                if box.kind in enter:
                    waiting.append(box)
    return found


def _clock(body: bytes) -> tuple[int, float | None]:
    """Timescale and duration in seconds of an mvhd or mdhd; None where it says "unknown" or is cut."""
    if len(body) < 20:
        return 0, None
    if body[0] == 1:
        if len(body) < 32:
            return 0, None
        timescale, ticks = struct.unpack_from(">IQ", body, 20)
        unknown = (1 << 64) - 1
    else:
        timescale, ticks = struct.unpack_from(">II", body, 12)
        unknown = (1 << 32) - 1
    return timescale, None if ticks in {0, unknown} or not timescale else ticks / timescale


def _track_id(tkhd: bytes) -> int:
    at = 20 if tkhd[:1] == b"\x01" else 12
    return int.from_bytes(tkhd[at : at + 4], "big")


def _rotation(tkhd: bytes) -> int:
    """By the first two numbers of the matrix; anything but a quarter turn counts as the nearest one."""
    at = 52 if tkhd[:1] == b"\x01" else 40
    if len(tkhd) < at + 36:
        return 0
    a, b = struct.unpack_from(">ii", tkhd, at)
    return round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360


def _times(stts: bytes) -> tuple[int, int, int, bool]:
    """Samples, ticks in all, ticks of the last, and whether they are even: within a tenth and two ticks of the mean."""
    if len(stts) < 8:
        return 0, 0, 0, True
    entries = min(int.from_bytes(stts[4:8], "big"), (len(stts) - 8) // 8)
    if entries > MOST_TIMES:
        raise Reject("readable", "too_big", entries)
    pairs = [pair for pair in struct.iter_unpack(">II", stts[8 : 8 + entries * 8]) if pair[0]]
    samples = sum(count for count, _ in pairs)
    ticks = sum(count * delta for count, delta in pairs)
    if samples < 2:
        return samples, ticks, pairs[-1][1] if pairs else 0, True
    last = pairs[-1][1]
    mean = (ticks - last) / (samples - 1)
    if pairs[-1][0] == 1:
        pairs.pop()
    even = all(abs(delta - mean) <= max(mean / 10, 2) for _, delta in pairs)
    return samples, ticks, last, even


def _first_sample(stco: bytes, co64: bytes, stsz: bytes) -> tuple[int, int]:
    """Offset and size: of the first chunk, and by the one size for all or the first of the list."""
    offset = int.from_bytes(co64[8:16] if co64 else stco[8:12], "big")
    size = int.from_bytes(stsz[4:8], "big") or int.from_bytes(stsz[12:16], "big")
    return (offset, size) if offset and size else (0, 0)


def _edited(elst: bytes) -> tuple[int, int]:
    """Ticks of the movie's clock that the edits show of the track, and that they show nothing (a late start)."""
    if len(elst) < 8:
        return 0, 0
    shape = ">QqI" if elst[0] == 1 else ">IiI"
    step = struct.calcsize(shape)
    entries = min(int.from_bytes(elst[4:8], "big"), (len(elst) - 8) // step)
    shown = delay = 0
    for duration, media_time, _ in struct.iter_unpack(shape, elst[8 : 8 + entries * step]):
        if media_time >= 0:
            shown += duration
        else:
            delay += duration
    return shown, delay
