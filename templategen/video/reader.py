"""The child's view of the file: every byte is asked of the parent. Runs inside the probe's child; imports little."""

import os
import struct


class Reader:
    """A seekable file for FFmpeg and for the box readers, over the pipe to the parent.

    FFmpeg reads ahead by whole buffers; its reads are content with less, so that a sparse source is not asked for bytes
    that nobody needs. The box readers get what they ask for. Prefetched ranges are served from memory.
    """

    def __init__(self, pipe: int, size: int) -> None:
        self.size = size
        self._pipe = pipe
        self._position = 0
        self._held: list[tuple[int, bytes]] = []

    def at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end of the file."""
        length = max(0, min(length, self.size - offset))
        if length == 0:
            return b""
        for start, data in self._held:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        return self._ask(b"R", offset, length)

    def prefetch(self, offset: int, length: int) -> bytes:
        """As `at`, and kept: later reads of this range cost nothing."""
        data = self.at(offset, length)
        if data and not self._holds(offset, len(data)):
            self._held.append((offset, data))
        return data

    def _holds(self, offset: int, length: int) -> bool:
        return any(start <= offset and offset + length <= start + len(data) for start, data in self._held)

    def read(self, length: int = -1) -> bytes:
        """FFmpeg's read: at least a byte unless at the end, at most `length`."""
        left = max(0, self.size - self._position)
        length = left if length < 0 else min(length, left)
        data = self._from_held(length) if length else b""
        if length and not data:
            data = self._ask(b"S", self._position, min(length, self._gap()))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """FFmpeg's seek; beyond the end is allowed, before the start is not."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a seek before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Bytes from the start."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True

    def _from_held(self, length: int) -> bytes:
        for start, data in self._held:
            if start <= self._position < start + len(data):
                skip = self._position - start
                return data[skip : skip + length]
        return b""

    def _gap(self) -> int:
        """Bytes from here to the next held range: no need to ask for what is held."""
        return min((start - self._position for start, _ in self._held if start > self._position), default=self.size)

    def _ask(self, kind: bytes, offset: int, length: int) -> bytes:
        write_all(self._pipe, b"%s%d %d\n" % (kind, offset, length))
        (coming,) = struct.unpack("<I", self._exactly(4))
        return self._exactly(coming)

    def _exactly(self, length: int) -> bytes:
        parts = []
        while length > 0:
            part = os.read(self._pipe, length)
            if not part:
                os._exit(3)  # the parent has gone, or wants no answer any more
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def write_all(pipe: int, data: bytes) -> None:
    """All of `data`, however little the pipe takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]
