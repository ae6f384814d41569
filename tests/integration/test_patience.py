"""A client that stops in the middle of its request does not keep the others waiting."""

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def one_thread(tmp_path, free_port):
    """A web process with a single thread that waits one second for the rest of a request."""
    environment = {**os.environ, "TEMPLATEGEN_DATA": str(tmp_path), "BODY_TIMEOUT_SECONDS": "1"}
    environment |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "TEMPLATEGEN_SITE_URL": f"http://127.0.0.1:{free_port}"}
    bind = f"127.0.0.1:{free_port}"
    command = [sys.executable, "-m", "gunicorn", "templategen.wsgi", "--bind", bind, "--worker-class", "gthread"]
    process = subprocess.Popen(
        [*command, "--workers", "1", "--threads", "1", "--log-level", "error", "--no-control-socket"],
        cwd=ROOT,
        env=environment,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", free_port)) == 0:
                break
        time.sleep(0.1)
    yield free_port
    process.terminate()
    process.wait(15)


def test_a_half_sent_request_frees_its_thread(one_thread):
    halves = [socket.create_connection(("127.0.0.1", one_thread)) for _ in range(3)]
    head = (
        b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: csrftoken=" + b"a" * 32 + b"\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\nusername="
    )
    try:
        for half in halves:
            half.sendall(head)
        time.sleep(0.3)
        connection = http.client.HTTPConnection("127.0.0.1", one_thread, timeout=15)
        connection.request("GET", "/jsi18n/")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        for half in halves:
            half.close()
