"""The DashScope calls as plain HTTP, for tests of the sandbox itself."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from tests.oss_signing import signed_path
from tests.sandbox import API_KEY, Sandbox

MODEL = "animate-anyone-template-gen2"
# Nobody listens there: a task with this address fails at once when it runs.
NOWHERE = "http://127.0.0.1:9/clip.mp4"


class DashScope:
    """One API key at one sandbox."""

    def __init__(self, sandbox: Sandbox, session: requests.Session, api_key: str = API_KEY) -> None:
        self.sandbox = sandbox
        self._session = session
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def submit(self, url: str = NOWHERE) -> requests.Response:
        """Submit a task."""
        return self._session.post(
            f"{self.sandbox.api_url}/services/aigc/image2video/aa-template-generation/",
            json={"model": MODEL, "input": {"video_url": url}},
            headers={**self._headers, "X-DashScope-Async": "enable"},
            timeout=30,
        )

    def submitted(self, url: str = NOWHERE) -> str:
        """Submit a task that must be taken; its ID."""
        answer = self.submit(url)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["output"]["task_id"])

    def get(self, task_id: str) -> requests.Response:
        """Look at a task."""
        return self._session.get(f"{self.sandbox.api_url}/tasks/{task_id}", headers=self._headers, timeout=30)

    def output(self, task_id: str) -> dict[str, Any]:
        """The `output` of a task."""
        answer = self.get(task_id)
        assert answer.status_code == 200, answer.text
        output: dict[str, Any] = answer.json()["output"]
        return output

    def list(self, params: Mapping[str, object] | None = None) -> requests.Response:
        """List tasks."""
        return self._session.get(
            f"{self.sandbox.api_url}/tasks", params=dict(params or {}), headers=self._headers, timeout=30
        )

    def cancel(self, task_id: str) -> requests.Response:
        """Cancel a task."""
        return self._session.post(f"{self.sandbox.api_url}/tasks/{task_id}/cancel", headers=self._headers, timeout=30)

    def stored(self, data: bytes, key: str = "tasks/clip.mp4") -> str:
        """Put bytes into the bucket; a signed address of them."""
        put = self._session.put(self.sandbox.url + signed_path("PUT", key), data=data, timeout=30)
        assert put.status_code == 200, put.text
        return self.sandbox.url + signed_path("GET", key)

    def outcome(self, data: bytes) -> dict[str, Any]:
        """Have a template made of these bytes; the final task."""
        return self.sandbox.wait_for(self.submitted(self.stored(data)))


@contextmanager
def dashscope(sandbox: Sandbox, api_key: str = API_KEY) -> Iterator[DashScope]:
    """The calls, with a connection that is closed afterwards."""
    with requests.Session() as session:
        yield DashScope(sandbox, session, api_key)


def within_a_second(call: Callable[[], requests.Response], times: int) -> list[requests.Response]:
    """The answers to so many calls in less than a second; where the machine was too busy for that, to later ones."""
    for _ in range(20):
        begun = time.monotonic()
        answers = [call() for _ in range(times)]
        if time.monotonic() - begun < 1:
            return answers
        # By then none of these counts any more.
        time.sleep(1)
    raise AssertionError(f"{times} calls took more than a second each time")
