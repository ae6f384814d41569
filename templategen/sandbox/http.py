"""Requests and answers as the services see them: plain values, and a body that streams."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote_to_bytes


class BadRequestError(Exception):
    """What the client sent cannot be read as HTTP; the connection ends after a plain 400."""


class BodyTooLargeError(Exception):
    """A body that is held in memory (XML, JSON) is larger than allowed."""


class ClientGoneError(Exception):
    """The client closed the connection, or fell silent, before its body was complete."""


class ByteReader(Protocol):
    """Whatever a body is read from."""

    def readinto(self, view: memoryview, /) -> int:
        """Fill the view; 0 means that nothing more comes."""
        ...


class Body:
    """The body of a request, read once, in pieces. `length` is None for a chunked one."""

    def __init__(self, reader: ByteReader, length: int | None) -> None:
        self.length = length
        self.received = 0
        self.touched = False
        self.cut_after: int | None = None
        self._reader = reader
        self._left = length
        self._whole: bytes | None = None

    @property
    def finished(self) -> bool:
        """Whether every byte of it was read."""
        return self._left == 0

    def readinto(self, view: memoryview) -> int:
        """Fill the view as far as the body goes, 0 at its end; raises ClientGoneError when it ends too early."""
        self.touched = True
        if self._left == 0:
            return 0
        room = len(view) if self._left is None else min(len(view), self._left)
        if self.cut_after is not None:
            room = min(room, max(self.cut_after - self.received, 0))
            if room == 0:
                raise ClientGoneError("a fault cut this body")
        try:
            count = self._reader.readinto(view[:room])
        except (OSError, ValueError) as error:
            raise ClientGoneError(str(error)) from error
        if self._left is None:
            if count == 0:
                self._left = 0
        elif count == 0:
            raise ClientGoneError("the body ended before its announced length")
        else:
            self._left -= count
        self.received += count
        return count

    def read_all(self, limit: int) -> bytes:
        """The whole body as bytes (kept, so that it can be asked for twice); raises BodyTooLargeError."""
        if self._whole is None:
            if self.length is not None and self.length > limit:
                raise BodyTooLargeError
            buffer = memoryview(bytearray(65_536))
            whole = io.BytesIO()
            while count := self.readinto(buffer):
                whole.write(buffer[:count])
                if whole.tell() > limit:
                    raise BodyTooLargeError
            self._whole = whole.getvalue()
        return self._whole


@dataclass
class Request:
    """One request. `path` is still percent-encoded; header names are in lower case."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: Body
    client: str = "127.0.0.1"

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """The decoded query, in order, duplicates kept; raises BadRequestError for bytes that are not UTF-8."""
        pairs = []
        for piece in self.query_string.split("&") if self.query_string else ():
            name, _, value = piece.partition("=")
            pairs.append((decode(name.replace("+", " ")), decode(value.replace("+", " "))))
        return pairs

    @cached_property
    def params(self) -> dict[str, str]:
        """The query by name; of duplicates the first counts."""
        params: dict[str, str] = {}
        for name, value in self.query:
            params.setdefault(name, value)
        return params

    def header(self, name: str) -> str:
        """A header's value, or an empty text."""
        return self.headers.get(name, "")


@dataclass(frozen=True)
class FileSlice:
    """A range of a file on disk, to be sent as part of an answer."""

    path: Path
    offset: int
    length: int


@dataclass
class Response:
    """One answer: either bytes or slices of files; `cut` and `stall` are for faults.

    `cut`: close the connection without a single byte; `cut_after`: after so many bytes of the body. `stall`: (bytes,
    seconds) to fall silent in the middle of the body.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    slices: tuple[FileSlice, ...] = ()
    cut: bool = False
    cut_after: int | None = None
    stall: tuple[int, float] | None = None
    content_length: int | None = None

    @property
    def length(self) -> int:
        """Bytes announced as Content-Length."""
        if self.content_length is not None:
            return self.content_length
        return len(self.body) + total(self.slices)


def whole_number(text: str, low: int, high: int) -> int | None:
    """The number a text means, or None unless it is plain digits within the bounds."""
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        return None
    number = int(text)
    return number if low <= number <= high else None


def total(slices: Iterable[FileSlice]) -> int:
    """Bytes in all slices together."""
    return sum(piece.length for piece in slices)


def decode(text: str) -> str:
    """Undo percent-encoding; raises BadRequestError when the result is not UTF-8."""
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeError as error:
        raise BadRequestError("the address is not valid UTF-8") from error
