"""Fragmented MP4 (ISO/IEC 14496-12, section 8.8): frames and length, from the fragments or from their index."""

import struct
from typing import NamedTuple

from templategen.video.boxes import Box, Track, inner_boxes, top_boxes
from templategen.video.reader import Reader
from templategen.video.reject import Reject

MOST_FRAGMENT_BYTES = 4 << 20
MOST_TAIL_BYTES = 64 << 10
"""What may stand behind the last fragment: the random access index (mfra)."""
_DURATION = 0x100


class Length(NamedTuple):
    """What fragments say of one track. None = not known from what may be read here."""

    frames: int | None
    duration_s: float | None
    fps: float | None
    even: bool
    cut: bool


class _Runs(NamedTuple):
    frames: int
    ticks: int
    shortest: int
    longest: int


def measure(reader: Reader, moov: bytes, track: Track, sidx: Box | None, first: Box, *, whole: bool) -> Length:
    """Length of `track`. `whole`: every fragment is visited; else only the first, and the index in front (sidx)."""
    defaults = _defaults(moov).get(track.track_id, 0)
    if not track.timescale:
        return Length(0, 0.0, 0.0, even=True, cut=False)
    if whole:
        return _visit(reader, track, defaults, first)
    runs = _runs(_read(reader, first), track.track_id, defaults)
    fps = runs.frames * track.timescale / runs.ticks if runs.ticks else None
    total = _indexed(reader, sidx) if sidx else None
    frames = round(total * fps) if total is not None and fps is not None else None
    return Length(frames, total, fps, _even([runs]), cut=False)


def _visit(reader: Reader, track: Track, defaults: int, first: Box) -> Length:
    seen = []
    cut = False
    for box in top_boxes(reader, first.offset):
        cut = box.end > reader.size
        if box.kind == b"moof" and not cut:
            seen.append(_runs(_read(reader, box), track.track_id, defaults))
    frames = sum(runs.frames for runs in seen)
    ticks = sum(runs.ticks for runs in seen)
    fps = frames * track.timescale / ticks if ticks else 0.0
    return Length(frames, ticks / track.timescale, fps, _even(seen), cut)


def _even(seen: list[_Runs]) -> bool:
    filled = [runs for runs in seen if runs.frames]
    if not filled:
        return True
    mean = sum(runs.ticks for runs in filled) / sum(runs.frames for runs in filled)
    allowed = max(mean / 10, 2)
    # The very last sample may be longer or shorter: players hold the last picture.
    return all(mean - runs.shortest <= allowed and runs.longest - mean <= allowed for runs in filled[:-1] or filled)


def _read(reader: Reader, box: Box) -> bytes:
    if box.end - box.body > MOST_FRAGMENT_BYTES:
        raise Reject("readable", "too_big", box.end - box.body)
    return reader.at(box.body, box.end - box.body)


def _defaults(moov: bytes) -> dict[int, int]:
    """Track id -> default sample duration, from mvex/trex."""
    found = {}
    for mvex in inner_boxes(moov, 8):
        if mvex.kind != b"mvex":
            continue
        for trex in inner_boxes(moov, mvex.body, mvex.end):
            if trex.kind == b"trex" and trex.end - trex.body >= 16:
                track_id, _, duration = struct.unpack_from(">III", moov, trex.body + 4)
                found[track_id] = duration
    return found


def _runs(moof: bytes, track_id: int, default: int) -> _Runs:
    durations: list[tuple[int, int]] = []
    for traf in inner_boxes(moof):
        if traf.kind != b"traf":
            continue
        usual = default
        mine = False
        for box in inner_boxes(moof, traf.body, traf.end):
            body = moof[box.body : box.end]
            if box.kind == b"tfhd" and len(body) >= 8:
                mine = int.from_bytes(body[4:8], "big") == track_id
                usual = _usual(body, default)
            elif box.kind == b"trun" and mine:
                durations += _run(body, usual)
    frames = sum(count for count, _ in durations)
    ticks = sum(count * ticks for count, ticks in durations)
    each = [ticks for _, ticks in durations] or [0]
    return _Runs(frames, ticks, min(each), max(each))


def _usual(tfhd: bytes, default: int) -> int:
    flags = int.from_bytes(tfhd[1:4], "big")
    if not flags & 0x8:
        return default
    at = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
    return int.from_bytes(tfhd[at : at + 4], "big")


def _run(trun: bytes, usual: int) -> list[tuple[int, int]]:
    """(samples, ticks of each) pairs of one trun box; as many as the box really holds."""
    if len(trun) < 8:
        return []
    flags = int.from_bytes(trun[1:4], "big")
    count = int.from_bytes(trun[4:8], "big")
    at = 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    step = 4 * (flags & 0xF00).bit_count()
    if step:
        count = min(count, max(0, len(trun) - at) // step)
    if not flags & _DURATION:
        # Without sizes or durations of its own a run costs four bytes whatever it claims: that many frames need bytes.
        return [(min(count, MOST_FRAGMENT_BYTES), usual)]
    return [(1, int.from_bytes(trun[at + step * i : at + step * i + 4], "big")) for i in range(count)]


def _indexed(reader: Reader, sidx: Box) -> float | None:
    """Seconds that the segment index adds up to; None where it is cut, points to further indexes or ends early."""
    body = _read(reader, sidx)
    wide = body[:1] == b"\x01"
    at = 28 if wide else 20
    if len(body) < at + 4:
        return None
    timescale = int.from_bytes(body[8:12], "big")
    before = int.from_bytes(body[20:28] if wide else body[16:20], "big")
    count = int.from_bytes(body[at + 2 : at + 4], "big")
    rows = list(struct.iter_unpack(">III", body[at + 4 : at + 4 + (len(body) - at - 4) // 12 * 12][: 12 * count]))
    if not timescale or len(rows) < count or any(size >> 31 for size, _, _ in rows):
        return None
    covered = sidx.end + before + sum(size for size, _, _ in rows)
    if covered + MOST_TAIL_BYTES < reader.size:
        return None  # an index of the first part only
    ticks: int = sum(ticks for _, ticks, _ in rows)
    return ticks / timescale
