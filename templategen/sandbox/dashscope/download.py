"""Fetches the video from the address a client gave: one GET, no redirects, no proxy, a time limit for all of it."""

import time
from pathlib import Path

import requests

from templategen.sandbox.checks import MAX_BYTES, NOT_A_VIDEO, TOO_BIG
from templategen.sandbox.dashscope.tasks import Outcome

_CHUNK = 1 << 20
_CONNECT_SECONDS = 10.0


def download(url: str, target: Path, seconds: float) -> Outcome | None:
    """Write the video to `target`; None when that worked, else why not, with the documented code."""
    deadline = time.monotonic() + seconds
    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.get(
                url,
                stream=True,
                allow_redirects=False,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                headers={"Accept-Encoding": "identity", "User-Agent": "sandbox-downloader"},
            ) as response:
                if response.status_code != 200:
                    return _refused(url)
                return _copy(response, target, url, deadline)
        except requests.exceptions.ConnectTimeout:
            return _timeout(url)
        except requests.exceptions.Timeout:
            return _timeout(url)
        except (requests.exceptions.RequestException, UnicodeError, ValueError) as error:
            return _timeout(url) if "timed out" in str(error).lower() else _refused(url)


def _copy(response: requests.Response, target: Path, url: str, deadline: float) -> Outcome | None:
    size = 0
    with target.open("wb") as file:
        while chunk := response.raw.read1(_CHUNK):
            if time.monotonic() > deadline:
                return _timeout(url)
            size += len(chunk)
            if size >= MAX_BYTES:
                return TOO_BIG
            file.write(chunk)
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != size:
        return _refused(url)
    return None if size else NOT_A_VIDEO


def _refused(url: str) -> Outcome:
    return Outcome(
        code="InvalidURL.ConnectionRefused", message=f"Connection to {url} refused, please provide available URL"
    )


def _timeout(url: str) -> Outcome:
    return Outcome(code="InvalidURL.Timeout", message=f"Download {url} timeout, please check network connection.")
