"""The HTTP/1.1 server: threads, keep-alive, streaming both ways, nothing about what is served.

The standard library's server, with what matters for a storage stand-in: `Expect: 100-continue` is answered only when
the body is really wanted (a refused upload then never sends its bytes), bodies are read straight into a reusable
buffer, files go out with sendfile, and a body nobody wanted is read away before the connection is used again, so that
the client gets to see the refusal instead of a reset connection.
"""

import http.server
import logging
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus

from templategen.sandbox.http import BadRequestError, Body, ClientGoneError, FileSlice, Request, Response

log = logging.getLogger(__name__)

_SILENT_SECONDS = 75.0
_DRAIN_BYTES = 64 << 20
_DRAIN_SECONDS = 10.0
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH")

App = Callable[[Request], Response]


class ChunkedReader:
    """Undoes `Transfer-Encoding: chunked`."""

    def __init__(self, handler: "Handler") -> None:
        self._file = handler.rfile
        self._left = 0
        self._ended = False

    def readinto(self, view: memoryview, /) -> int:
        """Bytes of the next chunk; 0 after the last one. Raises ValueError on broken framing."""
        if self._ended:
            return 0
        if self._left == 0:
            self._left = self._next_size()
            if self._left == 0:
                self._ended = True
                while self._file.readline(1024).strip():
                    pass
                return 0
        count = int(self._file.readinto1(view[: self._left]))
        if count == 0:
            raise ValueError("a chunk ended too early")
        self._left -= count
        if self._left == 0:
            self._file.readline(3)
        return count

    def _next_size(self) -> int:
        line = self._file.readline(1024)
        text = line.split(b";", 1)[0].strip()
        if not line.endswith(b"\n") or not re.fullmatch(rb"[0-9A-Fa-f]{1,12}", text):
            raise ValueError("a chunk without a size")
        return int(text, 16)


class PlainReader:
    """A body of known length. Sends `100 Continue` when it is first asked, if the client waits for that."""

    def __init__(self, handler: "Handler") -> None:
        self._handler = handler

    def readinto(self, view: memoryview, /) -> int:
        """As many bytes as one read gives."""
        self._handler.say_continue()
        return int(self._handler.rfile.readinto1(view))


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "AliyunOSS"
    sys_version = ""
    timeout = _SILENT_SECONDS
    disable_nagle_algorithm = True
    server: "Server"

    def setup(self) -> None:
        """Socket buffers are left to the kernel: asking for a size would switch its tuning off (measured: slower)."""
        super().setup()
        self._waits_for_continue = False

    def handle_one_request(self) -> None:
        """The next request of the connection; until it begins, the connection is idle."""
        self.connection.settimeout(self.server.idle_seconds())
        self.server.idle.add(self.connection)
        try:
            super().handle_one_request()
        finally:
            self.server.idle.discard(self.connection)

    def parse_request(self) -> bool:
        """Its first line is there."""
        self.server.idle.discard(self.connection)
        self.connection.settimeout(_SILENT_SECONDS)
        return super().parse_request()

    def handle_expect_100(self) -> bool:
        """Remember it; the answer is due when the body is wanted."""
        self._waits_for_continue = True
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library says of a request that it cannot read; plain text, and always with a status line."""
        self.close_connection = True
        text = (message or _phrase(code)).encode("ascii", "replace")
        self._send(Response(code, {"Content-Type": "text/plain"}, text), head=False)

    def say_continue(self) -> None:
        """Tell a waiting client to send its body."""
        if self._waits_for_continue:
            self._waits_for_continue = False
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def handle(self) -> None:
        """Requests until the connection ends; a client that goes away is no event."""
        try:
            super().handle()
        except (OSError, ClientGoneError):
            self.close_connection = True

    def answer_one(self) -> None:
        """Read one request, have it answered, send the answer."""
        try:
            request = self._request()
        except BadRequestError as error:
            self.send_error(400, str(error))
            return
        try:
            response = self.server.app(request)
        except ClientGoneError:
            self._reset()
            return
        except Exception:
            log.exception("request failed")
            response = Response(500, {"Content-Type": "text/plain"}, b"the sandbox has a bug; see its log")
        if response.cut:
            self._reset()
            return
        if self._waits_for_continue and not request.body.finished:
            self.close_connection = True  # the client may or may not send its body now: start afresh
        self._send(response, head=self.command == "HEAD")
        self._drain(request.body)

    def _request(self) -> Request:
        if not self.path.startswith("/"):
            raise BadRequestError("the request target must be a path")
        path, _, query = self.path.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value.strip()}" if lower in headers else value.strip()
        return Request(self.command, path, query, headers, self._body(headers), str(self.client_address[0]))

    def _body(self, headers: dict[str, str]) -> Body:
        encoding = headers.get("transfer-encoding", "")
        length = headers.get("content-length", "0")
        if encoding:
            if encoding.lower() != "chunked" or "content-length" in headers:
                raise BadRequestError("only chunked transfer encoding without a content length is understood")
            self.say_continue()
            return Body(ChunkedReader(self), None)
        if not length.isascii() or not length.isdigit() or len(length) > 18:
            raise BadRequestError("the content length is not a number")
        return Body(PlainReader(self), int(length))

    def _send(self, response: Response, *, head: bool) -> None:
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        headers = {"Server": "AliyunOSS", "Date": formatdate(usegmt=True), **response.headers}
        headers["Connection"] = "close" if self.close_connection else "keep-alive"
        if response.status not in (204, 304):
            headers["Content-Length"] = str(response.length)
        lines += [f"{name}: {_one_line(value)}" for name, value in headers.items()]
        out = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if head or response.status in (204, 304):
            self.wfile.write(out)
        elif response.slices:
            self.wfile.write(out)
            self._send_slices(response)
        else:
            self.wfile.write(out + response.body)

    def _send_slices(self, response: Response) -> None:
        """Files by sendfile; `cut_after` and `stall` act at their byte."""
        sent = 0
        stops = sorted(
            {n for n in (response.cut_after, response.stall[0] if response.stall else None) if n is not None}
        )
        for piece in _split(response.slices, stops):
            if response.cut_after is not None and sent >= response.cut_after:
                self._reset()
                return
            if response.stall and sent == response.stall[0]:
                time.sleep(response.stall[1])
            with piece.path.open("rb") as file:
                done = self.connection.sendfile(file, piece.offset, piece.length)
            if done != piece.length:
                raise ClientGoneError("a file on disk is shorter than recorded")
            sent += done
        if response.cut_after is not None:
            self._reset()

    def _drain(self, body: Body) -> None:
        """Read away what the client still sends, within limits; beyond them the connection ends."""
        if body.finished or (self.close_connection and not body.touched and self._waits_for_continue):
            self._waits_for_continue = False
            return
        buffer = memoryview(bytearray(1 << 20))
        deadline = time.monotonic() + _DRAIN_SECONDS
        drained = 0
        body.cut_after = None
        while drained < _DRAIN_BYTES and time.monotonic() < deadline:
            count = body.readinto(buffer)
            if count == 0:
                return
            drained += count
        self.close_connection = True

    def _reset(self) -> None:
        """End the connection the hard way, as a crashing server or a broken line would."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        """The library's own lines (parse errors) only matter when debugging; they may hold addresses."""
        log.debug("http: %s", format)


for _method in _METHODS:
    setattr(Handler, f"do_{_method}", Handler.answer_one)


def _one_line(value: str) -> str:
    """A header's value without what could end the line (folded headers of a request would bring it in)."""
    return " ".join(value.split("\r\n")).replace("\r", " ").replace("\n", " ")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _split(slices: tuple[FileSlice, ...], stops: list[int]) -> list[FileSlice]:
    """The same bytes, cut so that no slice crosses a stop."""
    pieces: list[FileSlice] = []
    position = 0
    for piece in slices:
        offset, end = piece.offset, piece.offset + piece.length
        for stop in stops:
            inside = piece.offset + stop - position
            if offset < inside < end:
                pieces.append(FileSlice(piece.path, offset, inside - offset))
                offset = inside
        pieces.append(FileSlice(piece.path, offset, end - offset))
        position += piece.length
    return pieces


class Server(http.server.ThreadingHTTPServer):
    """Listens and hands every request to `app`."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, host: str, port: int, app: App, idle_seconds: Callable[[], float] = lambda: 75.0) -> None:
        self.app = app
        self.idle_seconds = idle_seconds
        self.idle: set[socket.socket] = set()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)

    def server_bind(self) -> None:
        """Without the library's reverse lookup of the host name, which can hang where there is no resolver."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def cut_idle(self) -> int:
        """End every connection that waits for its next request; how many there were."""
        idle = list(self.idle)
        for connection in idle:
            with suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        return len(idle)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke is no event worth a traceback."""
        log.debug("connection failed")
