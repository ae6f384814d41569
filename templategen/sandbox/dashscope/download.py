"""Fetches the video from the address a client gave: one GET, no redirects, no proxy, a time limit for all of it."""

import http.client
import time
from pathlib import Path
from urllib.parse import urlsplit

from templategen.sandbox.checks import MAX_BYTES, NOT_A_VIDEO, TOO_BIG
from templategen.sandbox.dashscope.tasks import Outcome

_CHUNK = 1 << 20


def download(url: str, target: Path, seconds: float) -> Outcome | None:
    """Write the video to `target`; None when that worked, else why not, with the documented code.

    The address is sent exactly as given: a signed one would break otherwise.
    """
    deadline = time.monotonic() + seconds
    try:
        connection, path = _connection(url, seconds)
    except ValueError:
        return _refused(url)
    try:
        return _fetch(connection, path, target, deadline)
    except TimeoutError:
        return Outcome(code="InvalidURL.Timeout", message=f"Download {url} timeout, please check network connection.")
    except (OSError, http.client.HTTPException, ValueError):
        return _refused(url)
    finally:
        connection.close()


def _fetch(connection: http.client.HTTPConnection, path: str, target: Path, deadline: float) -> Outcome | None:
    """The bytes into the file; raises OSError or HTTPException for whatever means that the address is of no use."""
    connection.request("GET", path, headers={"User-Agent": "sandbox-downloader", "Accept-Encoding": "identity"})
    sock = connection.sock
    sock.settimeout(_left(deadline))
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise OSError(f"status {response.status}")
    size = 0
    with target.open("wb") as file:
        while chunk := response.read1(_CHUNK):
            size += len(chunk)
            if size >= MAX_BYTES:
                return TOO_BIG
            file.write(chunk)
            sock.settimeout(_left(deadline))
    if response.headers.get("Content-Length", str(size)) != str(size):
        raise OSError("the answer was cut")
    return None if size else NOT_A_VIDEO


def _connection(url: str, seconds: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection and the path to ask for; raises ValueError for what is no web address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return kind(parts.hostname, parts.port, timeout=seconds), path


def _left(deadline: float) -> float:
    """Seconds until the deadline; raises TimeoutError when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _refused(url: str) -> Outcome:
    return Outcome(
        code="InvalidURL.ConnectionRefused", message=f"Connection to {url} refused, please provide available URL"
    )
