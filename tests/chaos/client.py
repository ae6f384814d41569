"""What the browser's uploader does (static/js/uploader/): begin, parts, finish, with its retries and its doubts.

The page's person is patient: where the uploader says "failed", they press "try again".
"""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# The uploader's waits (wait.js), a tenth as long: the test's servers come back sooner than anybody's.
BACK_OFF = (0.0, 0.1, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class Answer:
    """Status and body of one answer."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body's object; Unreachable for one that was cut short."""
        try:
            found: dict[str, Any] = json.loads(self.body)
        except ValueError:
            raise UnreachableError("cut short") from None
        return found


class UnreachableError(Exception):
    """No answer came."""


class ServerError(Exception):
    """The server said no."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


class GoneError(Exception):
    """The storage has no such upload any more: it is to be sent anew."""


# method, path, body, headers
Send = Callable[[str, str, bytes | None, Mapping[str, str]], Answer]


def over_http(port: int, cookie: str, *, timeout: float = 10.0) -> Send:
    """Requests to the site as a signed-in browser sends them."""

    def send(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        token = "c" * 32
        own = {"Cookie": f"{cookie}; csrftoken={token}", "X-CSRFToken": token, "Origin": f"http://127.0.0.1:{port}"}
        return http_call("127.0.0.1", port, method, path, body, {**own, **headers}, timeout=timeout)

    return send


def http_call(
    host: str, port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, timeout: float
) -> Answer:
    """One request over a connection of its own. Raises UnreachableError."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as problem:
        raise UnreachableError(type(problem).__name__) from problem
    finally:
        connection.close()


class Client:
    """One signed-in page of the account ``slug``."""

    def __init__(self, send: Send, slug: str, *, until: float) -> None:
        self._send = send
        self._list = f"/a/{slug}/uploads/"
        self._until = until
        self.troubles: list[str] = []

    def upload(self, file_name: str, data: bytes) -> str:
        """Upload one file, however often it takes; its public ID. TimeoutError at the moment ``until``."""
        tried, known = False, None
        while True:
            try:
                if known is not None:
                    known = self._progress(known)
                else:
                    known, tried = self._begin(file_name, data, tried=tried), True
                return self._transfer(known, data)
            except GoneError as problem:
                self._note(problem)
                if known is not None:
                    self._quietly(known["cancel_url"])
                known, tried = None, False
            except (UnreachableError, ServerError) as problem:
                self._note(problem)
                tried = True
            self._pause(0.2)

    def _begin(self, file_name: str, data: bytes, *, tried: bool) -> dict[str, Any]:
        wanted = {"file_name": file_name, "size": len(data), "fingerprint": file_name}
        if tried and (found := self._look_for(file_name)):
            return found
        for wait in BACK_OFF:
            try:
                begun: dict[str, Any] = self._call(self._list, wanted)["upload"]
            except (UnreachableError, ServerError) as problem:
                if isinstance(problem, ServerError) and not _passes(problem):
                    raise
                self._note(problem)
            else:
                return begun
            self._pause(wait)
            if found := self._look_for(file_name):
                return found
        raise UnreachableError("begin")

    def _look_for(self, fingerprint: str) -> dict[str, Any] | None:
        """It may have been begun all the same."""
        listed = self._patiently(self._list)["uploads"]
        begun = next((each for each in listed if each["fingerprint"] == fingerprint), None)
        return self._progress(begun) if begun else None

    def _progress(self, upload: dict[str, Any]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._patiently(upload["url"])["upload"]
        except ServerError as problem:
            if problem.status == 404 or problem.code == "upload.gone":
                raise GoneError(str(problem)) from None
            raise
        return found

    def _transfer(self, upload: dict[str, Any], data: bytes) -> str:
        for _round in range(3):
            if upload["state"] != "uploading":
                break
            try:
                for number in upload.get("missing", []):
                    self._send_part(upload, number, data)
                self._patiently(upload["finish_url"], {})
                break
            except ServerError as problem:
                if problem.status not in {404, 409}:
                    raise
                self._note(problem)
                upload = self._progress(upload)
        return str(upload["id"])

    def _send_part(self, upload: dict[str, Any], number: int, data: bytes) -> None:
        start = (number - 1) * upload["part_size"]
        url = upload.get("urls", {}).get(str(number))
        for wait in BACK_OFF:
            url = url or self._patiently(upload["parts_url"], {"numbers": [number]})["urls"][str(number)]
            target = urlsplit(url)
            try:
                answer = http_call(
                    target.hostname or "", target.port or 80, "PUT", f"{target.path}?{target.query}",
                    data[start : start + upload["part_size"]], {}, timeout=10,
                )  # fmt: skip
            except UnreachableError as problem:
                self._note(problem)
            else:
                if answer.status == 200:
                    return
                if answer.status in {404, 409}:
                    raise ServerError(answer.status, "part")
                self._note(ServerError(answer.status, "part"))
            url = None
            self._pause(wait)
        raise UnreachableError("part")

    def _patiently(self, path: str, content: object = None) -> dict[str, Any]:
        for wait in BACK_OFF:
            try:
                return self._call(path, content)
            except (UnreachableError, ServerError) as problem:
                if isinstance(problem, ServerError) and not _passes(problem):
                    raise
                self._note(problem)
            self._pause(wait)
        return self._call(path, content)

    def _call(self, path: str, content: object = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        method = "GET" if content is None else "POST"
        answer = self._send(method, path, body, {"Accept": "application/json", "Content-Type": "application/json"})
        found = answer.json() if answer.body.startswith(b"{") else {}
        if answer.status < 300 and found:
            return found
        raise ServerError(answer.status, found.get("error", {}).get("code", ""))

    def _quietly(self, path: str) -> None:
        try:
            self._patiently(path, {})
        except (UnreachableError, ServerError) as problem:
            self._note(problem)

    def _note(self, problem: Exception) -> None:
        self.troubles.append(f"{type(problem).__name__} {problem}")

    def _pause(self, seconds: float) -> None:
        if time.monotonic() > self._until:
            raise TimeoutError(f"the upload did not get through; last: {self.troubles[-5:]}")
        time.sleep(seconds)


def _passes(problem: ServerError) -> bool:
    return problem.status >= 500 or problem.status == 429
