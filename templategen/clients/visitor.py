"""OSS as a browser meets it: plain requests to signed URLs, and the question that CORS asks beforehand.

No key is used here. This module knows no Django.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import requests

from templategen.clients.http import TimeoutSession
from templategen.clients.storage import StorageError, StorageUnreachableError

_BODY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are matched whatever their case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> datetime | None:
        """The server's clock, as its Date header tells it."""
        try:
            return parsedate_to_datetime(self.headers.get("Date", ""))
        except ValueError:
            return None


class Visitor:
    """One visitor. ``timeout`` in seconds, for connecting and for each read."""

    def __init__(self, *, timeout: float = 15.0) -> None:
        self._session = TimeoutSession(timeout=timeout)

    def look(self, url: str) -> Answer:
        """GET; any answer is one, errors too. Raises StorageUnreachableError."""
        return self._send("GET", url, {})

    def get(self, url: str, *, origin: str = "") -> Answer:
        """GET a signed URL. Raises StorageError when OSS refuses."""
        return _granted(self._send("GET", url, {"Origin": origin} if origin else {}))

    def put(self, url: str, data: bytes, *, origin: str = "") -> Answer:
        """PUT to a signed URL. Raises StorageError when OSS refuses."""
        return _granted(self._send("PUT", url, {"Origin": origin} if origin else {}, data))

    def preflight(self, url: str, *, origin: str, method: str) -> Answer:
        """What a browser asks before it sends: 200 with Access-Control-Allow-… headers, or 403 (not raised)."""
        return self._send("OPTIONS", url, {"Origin": origin, "Access-Control-Request-Method": method})

    def _send(self, method: str, url: str, headers: dict[str, str], data: bytes | None = None) -> Answer:
        try:
            with self._session.request(method, url, headers=headers, data=data, stream=True) as answer:
                body = next(answer.iter_content(_BODY_BYTES), b"")
                return Answer(answer.status_code, answer.headers, body)
        except requests.RequestException as problem:
            # The text of the exception would name the signed URL.
            raise StorageUnreachableError(
                status=0, code=type(problem).__name__, message="no answer from OSS"
            ) from problem


def _granted(answer: Answer) -> Answer:
    if answer.status < 300:
        return answer
    raise StorageError(
        status=answer.status,
        code=_element(answer.body, "Code"),
        message=_element(answer.body, "Message"),
        request_id=_element(answer.body, "RequestId"),
        ec=_element(answer.body, "EC"),
    )


def _element(body: bytes, name: str) -> str:
    """The text of one element of OSS's error XML, which is flat."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", body.decode(errors="replace"))
    return found[1] if found else ""
