"""The download stops at the size limit instead of filling the disk."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from templategen.sandbox.dashscope import download


class Endless(BaseHTTPRequestHandler):
    """Announces nothing and sends more than anybody wants."""

    def do_GET(self) -> None:
        """Up to 64 MB, or until nobody listens any more."""
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(64):
                self.wfile.write(b"x" * (1 << 20))
        except OSError:
            self.server.stopped = True  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        """Quiet."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """Such a server."""
    with HTTPServer(("127.0.0.1", 0), Endless) as endless:
        threading.Thread(target=endless.serve_forever, args=(0.05,), daemon=True).start()
        yield endless
        endless.shutdown()


def test_an_endless_body_is_too_big(server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 3_000_000)
    target = tmp_path / "clip"
    outcome = download.download(f"http://127.0.0.1:{server.server_port}/", target, 10)
    assert outcome is not None
    assert outcome.code == "InvalidFile.Size"
    assert target.stat().st_size < 3_000_000


def test_an_empty_body_is_no_video(monkeypatch: pytest.MonkeyPatch, server: HTTPServer, tmp_path: Path) -> None:
    monkeypatch.setattr(Endless, "do_GET", lambda self: (self.send_response(200), self.end_headers()))
    outcome = download.download(f"http://127.0.0.1:{server.server_port}/", tmp_path / "clip", 10)
    assert outcome is not None
    assert outcome.code == "InvalidFile.Openerror"
