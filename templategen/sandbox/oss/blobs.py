"""The bytes of objects and parts: files under random names, never under a name a client chose.

A blob is written to a temporary file and renamed when it is whole, so whatever has a blob name is complete. Completing
a multipart upload copies nothing: the object simply lists the blobs of its parts in order (a manifest), which makes
Complete a matter of milliseconds and costs reads nothing but one more file per part.
"""

import hashlib
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from templategen.sandbox.http import Body, FileSlice
from templategen.sandbox.oss import crc64

_CHUNK = 1 << 19


@dataclass(frozen=True)
class Blob:
    """One stored run of bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Stored:
    """What is known of bytes just written: `md5` in upper-case hex, `crc` as OSS writes it (None: not computed)."""

    blob: Blob
    md5: str
    crc: int | None


class BlobStore:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._buffers = threading.local()
        for left_over in self._incoming.iterdir():  # uploads that a kill cut short
            left_over.unlink(missing_ok=True)

    def write(self, body: Body, limit: int) -> Stored | None:
        """Stream a body to disk; None when it is longer than `limit`. Raises ClientGoneError when it ends too early."""
        if body.length is not None and body.length > limit:
            return None
        name = secrets.token_hex(16)
        path = self._incoming / name
        try:
            stored = self._copy(body, path, name, limit)
            if stored is not None:
                target = self._path(name)
                target.parent.mkdir(exist_ok=True)
                path.rename(target)
            return stored
        finally:
            path.unlink(missing_ok=True)

    def _copy(self, body: Body, path: Path, name: str, limit: int) -> Stored | None:
        buffer = self._buffer()
        md5 = hashlib.md5(usedforsecurity=False)
        crc = 0
        size = 0
        with path.open("xb", buffering=0) as file:
            while count := _fill(body, buffer):
                data = buffer[:count]
                size += count
                if size > limit:
                    return None
                file.write(data)
                md5.update(data)
                if crc64.AVAILABLE:
                    crc = crc64.update(crc, data)
        return Stored(Blob(name, size), md5.hexdigest().upper(), crc if crc64.AVAILABLE else None)

    def _buffer(self) -> memoryview:
        """One buffer per thread, that is per connection, used again for each of its bodies."""
        if not hasattr(self._buffers, "view"):
            self._buffers.view = memoryview(bytearray(_CHUNK))
        view: memoryview = self._buffers.view
        return view

    def slices(self, blobs: Sequence[Blob], start: int, length: int) -> tuple[FileSlice, ...]:
        """The file ranges that make up `length` bytes from `start`."""
        pieces = []
        position = 0
        end = start + length
        for blob in blobs:
            first, last = max(start, position), min(end, position + blob.size)
            if first < last:
                pieces.append(FileSlice(self._path(blob.name), first - position, last - first))
            position += blob.size
        return tuple(pieces)

    def delete(self, blobs: Iterable[Blob]) -> None:
        """Remove the files; a reader that has one open reads on."""
        for blob in blobs:
            self._path(blob.name).unlink(missing_ok=True)

    def delete_all_but(self, wanted: set[str]) -> int:
        """Remove blobs that nothing refers to (a kill between two steps leaves such); how many there were."""
        removed = 0
        for folder in self._folder.iterdir():
            if folder != self._incoming and folder.is_dir():
                for path in folder.iterdir():
                    if path.name not in wanted:
                        path.unlink(missing_ok=True)
                        removed += 1
        return removed

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


def _fill(body: Body, buffer: memoryview) -> int:
    """Read until the buffer is full or the body ends: fewer, larger steps for hash and disk."""
    filled = 0
    while filled < len(buffer):
        count = body.readinto(buffer[filled:])
        if count == 0:
            break
        filled += count
    return filled
