"""A client that stops in the middle of its request does not keep the others waiting."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def one_thread(data: Path, port: int, *, body_seconds: str) -> Iterator[subprocess.Popen[bytes]]:
    """A web process with a single thread."""
    environment = {**os.environ, "TEMPLATEGEN_DATA": str(data), "BODY_TIMEOUT_SECONDS": body_seconds}
    environment |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "TEMPLATEGEN_SITE_URL": f"http://127.0.0.1:{port}"}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:templategen.gunicorn_config", "templategen.wsgi"]
    few = ["--workers", "1", "--threads", "1", "--log-level", "error", "--graceful-timeout", "1"]
    process = subprocess.Popen([*command, "--bind", f"127.0.0.1:{port}", *few], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


HEAD = (
    b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: csrftoken=" + b"a" * 32 + b"\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\nusername="
)


@contextmanager
def half_sent_requests(port: int, count: int) -> Iterator[None]:
    with ExitStack() as open_:
        for _ in range(count):
            open_.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(HEAD)
        time.sleep(0.3)
        yield


def test_a_half_sent_request_frees_its_thread(tmp_path: Path, free_port: int) -> None:
    with one_thread(tmp_path, free_port, body_seconds="1"), half_sent_requests(free_port, 3):
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=60)
        connection.request("GET", "/jsi18n/")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_half_sent_request_does_not_keep_a_web_process_from_stopping(tmp_path: Path, free_port: int) -> None:
    with one_thread(tmp_path, free_port, body_seconds="60") as web, half_sent_requests(free_port, 2):
        began = time.monotonic()
        web.terminate()
        assert web.wait(60) == 0
        # Its bound is one second here; that of a half-sent request is sixty.
        assert time.monotonic() - began < 30
