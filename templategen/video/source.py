"""Range readers: where a clip's bytes come from, whatever holds them."""

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

KIB = 1024


class Source(Protocol):
    """A byte source of known size."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only where the source ends."""


class SourceError(Exception):
    """The source itself failed (network, vanished file); says nothing of the clip, and may be tried again."""


class NeedBytes(Exception):  # noqa: N818 -- a question, not an error
    """A sparse source was read where nothing has been sent yet: send `start` up to, not including, `end`."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(f"bytes {start}..{end} are needed")
        self.start = start
        self.end = end


class FileSource:
    """A local file, opened for reading. SourceError where it cannot be opened or read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 -- closed by close()
        except OSError as error:
            raise SourceError(f"The file cannot be opened: {error.strerror}.") from error
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back. Reading afterwards is a SourceError."""
        self._file.close()

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end."""
        offset, length = _inside(self.size, offset, length)
        parts = []
        try:
            while length > 0:
                part = os.pread(self._file.fileno(), length, offset)
                if not part:
                    break
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        except (OSError, ValueError) as error:
            raise SourceError(f"The file cannot be read: {error}.") from error
        return b"".join(parts)


class SparseSource:
    """The slices of a file that have been sent so far; reading anywhere else raises NeedBytes.

    What NeedBytes asks for is rounded up, for every answer costs a round trip: at least 128 KiB, and up to 256 KiB
    where the reading goes on from what is there already. No more than that: each request carries all slices again.
    """

    AT_LEAST = 128 * KIB
    AHEAD_AT_MOST = 256 * KIB
    SMALL_GAP = 512 * KIB
    SLACK = 32 * KIB
    """FFmpeg splits a large read: all but a bit at once, the bit through its buffer of 16 KiB."""

    def __init__(self, size: int, slices: Iterable[tuple[int, bytes]]) -> None:
        """`slices` are (offset, bytes), in any order, may touch or overlap. ValueError where one lies outside."""
        if size < 0:
            raise ValueError("the size is negative")
        self.size = size
        self._parts = _merged(size, slices)
        self._starts = [start for start, _ in self._parts]

    @property
    def bytes_held(self) -> int:
        """Bytes known so far, overlaps counted once."""
        return sum(len(data) for _, data in self._parts)

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end. NeedBytes where they were not sent."""
        offset, length = _inside(self.size, offset, length)
        end = offset + length
        if length == 0:
            return b""
        at = bisect_right(self._starts, offset) - 1
        start, data = self._parts[at] if at >= 0 else (0, b"")
        if end <= start + len(data):
            return data[offset - start : end - start]
        raise self._need(offset, end)

    def read_some(self, offset: int, length: int) -> bytes:
        """As `read_at`, but content with what is there: fewer bytes, and NeedBytes only where not even one is."""
        offset, length = _inside(self.size, offset, length)
        at = bisect_right(self._starts, offset) - 1
        start, data = self._parts[at] if at >= 0 else (0, b"")
        some = data[offset - start : offset - start + length]
        return some or self.read_at(offset, length)

    def _need(self, offset: int, end: int) -> NeedBytes:
        """The missing part of offset..end, grown by what is likely to be read next, cut where bytes are known."""
        at = bisect_right(self._starts, offset) - 1
        if at >= 0:
            start, data = self._parts[at]
            known_to = start + len(data)
            offset = max(offset, known_to)
            ahead = len(data) // 2 if known_to == offset else 0
        else:
            ahead = 0
        wish = max(end + self.SLACK, offset + min(max(self.AT_LEAST, ahead), self.AHEAD_AT_MOST))
        following = self._parts[at + 1][0] if at + 1 < len(self._parts) else self.size
        if following - offset <= self.SMALL_GAP:
            wish = following  # rather than further round trips for the little that is left
        return NeedBytes(offset, min(wish, following, self.size))


class ObjectSource:
    """An object read by range requests, through a small cache of what was read.

    `fetch(start, end)` gives the bytes start..end-1; it raises SourceError where it fails. Each fetch costs a round
    trip, so little reads are widened, the more so the longer the reading is sequential.
    """

    SMALLEST = 128 * KIB
    LARGEST = 2048 * KIB
    KEPT_BYTES = 32 * KIB * KIB

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self.size = size
        self.fetches = 0
        self.bytes_fetched = 0
        self._fetch = fetch
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._ahead = self.SMALLEST
        self._last_end = -1

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end. SourceError where a fetch fails or gives too little."""
        offset, length = _inside(self.size, offset, length)
        parts = []
        while length > 0:
            part = self._cached(offset, length)
            if not part:
                self._load(offset, length)
                part = self._cached(offset, length)
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def _cached(self, offset: int, length: int) -> bytes:
        for start, data in self._kept.items():
            if start <= offset < start + len(data):
                self._kept.move_to_end(start)
                return data[offset - start : offset - start + length]
        return b""

    def _load(self, offset: int, length: int) -> None:
        self._ahead = min(self._ahead * 2, self.LARGEST) if offset == self._last_end else self.SMALLEST
        following = min((start for start in self._kept if start > offset), default=self.size)
        end = min(offset + max(length, self._ahead), following, self.size)
        data = self._fetch(offset, end)
        self.fetches += 1
        self.bytes_fetched += len(data)
        if len(data) != end - offset:
            raise SourceError(f"{end - offset} bytes were asked for, {len(data)} came.")
        self._last_end = end
        self._kept[offset] = data
        self._kept_bytes += len(data)
        while self._kept_bytes > self.KEPT_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)


def _inside(size: int, offset: int, length: int) -> tuple[int, int]:
    if offset < 0 or length < 0:
        raise ValueError("offset and length are never negative")
    return offset, max(0, min(length, size - offset))


def _merged(size: int, slices: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Sorted, joined where they touch or overlap; of an overlap the earlier slice's bytes are kept."""
    runs: list[tuple[int, bytearray]] = []
    for offset, data in sorted(slices, key=lambda part: part[0]):
        if offset < 0 or offset + len(data) > size:
            raise ValueError(f"a slice of {len(data)} bytes at {offset} lies outside a file of {size} bytes")
        if not data:
            continue
        last_start, last = runs[-1] if runs else (0, bytearray())
        if runs and offset <= last_start + len(last):
            last += data[last_start + len(last) - offset :]
        else:
            runs.append((offset, bytearray(data)))
    return [(start, bytes(data)) for start, data in runs]
