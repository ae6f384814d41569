"""Changing the boxes of a small MP4: what makes a good clip lie, point nowhere or ask for too much."""

import struct

_HOLDS_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex"}


def boxes(data: bytes, start: int = 0, end: int | None = None) -> list[tuple[bytes, int, int]]:
    """(path, start, end) of every box below, paths joined by slashes, in file order."""
    found = []
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            header = 16
        stop = start + size if size else end
        found.append((kind, start, stop))
        if kind in _HOLDS_BOXES:
            found += [(kind + b"/" + path, a, b) for path, a, b in boxes(data, start + header, stop)]
        start = stop
    return found


def find(data: bytes, path: str, nth: int = 0) -> tuple[int, int]:
    """Start and end of the nth box of that path. IndexError where there is none."""
    return [(a, b) for name, a, b in boxes(data) if name == path.encode()][nth]


def body(data: bytes, path: str, nth: int = 0) -> bytes:
    """The box without its header of eight bytes."""
    start, end = find(data, path, nth)
    return data[start + 8 : end]


def poke(data: bytes, path: str, offset: int, value: bytes, nth: int = 0) -> bytes:
    """`data` with `value` written over the box's body at `offset`."""
    start, _ = find(data, path, nth)
    at = start + 8 + offset
    return data[:at] + value + data[at + len(value) :]


def box(kind: bytes, content: bytes) -> bytes:
    """A box of its own."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def replace(data: bytes, path: str, new: bytes, nth: int = 0) -> bytes:
    """`data` with one box replaced by `new` (a whole box, or nothing), the boxes around it told their new size.

    Offsets of samples are not mended: only for files whose moov lies behind the samples.
    """
    start, end = find(data, path, nth)
    grown = len(new) - (end - start)
    result = bytearray(data[:start] + new + data[end:])
    for name, a, b in boxes(data):
        if a < start and end <= b and path.encode().startswith(name + b"/"):
            struct.pack_into(">I", result, a, b - a + grown)
    return bytes(result)
