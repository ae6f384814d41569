"""From `up` on an empty data folder to the first template ID, through the pages' own addresses.

    python tests/benchmark/first_template.py [CLIP]

Prints `seconds` (all of it) and its parts: `up_ready_seconds` (until the sign-in link is printed), `upload_seconds`
(sign-in, pre-check, parts, finish), `made_seconds` (until the gallery shows the template ID). The sandbox makes
templates at once (run time 0). CLIP is `dance.mp4` of the shared media, else a clip that is made on the spot.
"""

import http.client
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.ports import free_port
from tests.running import Running, running

EDGE = 256 * 1024
TEMPLATE_ID = re.compile(r"AACT\.[A-Za-z0-9._-]+")


class Page:
    """What the browser does: a cookie jar and a CSRF token."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> str:
        """A page, redirects followed."""
        for _ in range(5):
            status, location, body = self._send("GET", path)
            if status not in {301, 302}:
                assert status == 200, (status, path, body[:300])
                return body
            path = urlsplit(location).path
        raise AssertionError("redirects without end")

    def post(self, path: str, body: bytes, content_type: str) -> Any:
        """JSON back."""
        token = self._cookies["csrftoken"]
        status, _location, answer = self._send(
            "POST", path, body, {"Content-Type": content_type, "X-CSRFToken": token, "Accept": "application/json"}
        )
        assert status < 300, (status, path, answer[:500])
        return json.loads(answer)

    def post_json(self, path: str, content: object) -> Any:
        """JSON both ways."""
        return self.post(path, json.dumps(content).encode(), "application/json")

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        origin = f"http://127.0.0.1:{self._port}"
        connection.request(method, path, body, {"Cookie": cookies, "Origin": origin, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        for name, value in answer.getheaders():
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        connection.close()
        return answer.status, answer.getheader("Location", ""), text


def precheck(page: Page, clip: bytes) -> None:
    """Both ends of the file, then whatever is asked for."""
    spans = [(0, min(EDGE, len(clip)))]
    if len(clip) > EDGE:
        spans.append((max(EDGE, len(clip) - EDGE), len(clip)))
    for _ in range(10):
        mark = "templategen-boundary"
        fields = [("size", str(len(clip)).encode(), "")]
        for start, end in spans:
            fields += [("offset", str(start).encode(), ""), ("slice", clip[start:end], '; filename="slice"')]
        body = b"".join(
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"
            for name, value, extra in fields
        )
        verdict = page.post(
            "/a/studio/precheck/", body + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"
        )
        if "need" not in verdict:
            assert verdict["ok"], verdict["findings"]
            return
        spans.append(tuple(verdict["need"]))
    raise AssertionError("the pre-check never had enough")


def upload(page: Page, name: str, clip: bytes) -> str:
    """Begin, parts to OSS, finish; the template's own page."""
    begun = page.post_json("/a/studio/uploads/", {"file_name": name, "size": len(clip), "fingerprint": "benchmark"})
    one = begun["upload"]
    urls = page.post_json(one["parts_url"], {"numbers": one["missing"]})["urls"]
    for number, url in urls.items():
        at = (int(number) - 1) * one["part_size"]
        target = urlsplit(url)
        connection = http.client.HTTPConnection(target.netloc, timeout=60)
        connection.request("PUT", f"{target.path}?{target.query}", clip[at : at + one["part_size"]])
        assert connection.getresponse().status == 200, number
        connection.close()
    page.post_json(one["finish_url"], {})
    return f"/a/studio/templates/{one['id']}/"


def wait_for_id(page: Page, path: str, *, seconds: float = 60.0) -> str:
    """Look at the template's page, as its own live part does, until the ID stands there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = TEMPLATE_ID.search(page.get(path))
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no template ID")


def run_time_zero(port: int) -> None:
    """Tell the sandbox to make templates at once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"run_seconds": 0})
    connection.request("PATCH", "/_sandbox/settings", body, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()


def measure(command: Running, began: float, port: int, sandbox_port: int, clip: Path) -> dict[str, float]:
    """Figures in seconds."""
    link = command.wait_for(r"Sign in here \(works once\): (\S+)", seconds=60)[1]
    ready = time.monotonic()
    run_time_zero(sandbox_port)
    page = Page(port)
    page.get(urlsplit(link).path)
    data = clip.read_bytes()
    precheck(page, data)
    path = upload(page, clip.name, data)
    uploaded = time.monotonic()
    template_id = wait_for_id(page, path)
    made = time.monotonic()
    print(f"template_id={template_id}")
    return {
        "up_ready_seconds": ready - began,
        "upload_seconds": uploaded - ready,
        "made_seconds": made - uploaded,
        "seconds": made - began,
    }


def a_clip(folder: Path) -> Path:
    """The one asked for, the shared one, or one made here."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    from tests.media import FOLDER

    shared = FOLDER / "dance.mp4"
    if shared.exists():
        return shared
    from tests.clips import make_clip

    return Path(make_clip(folder / "clip.mp4"))


def main() -> None:
    """One run."""
    with tempfile.TemporaryDirectory(prefix="templategen-first-") as folder:
        clip = a_clip(Path(folder))
        port, sandbox_port = free_port(), free_port()
        began = time.monotonic()
        data = Path(folder) / "data"
        with running(data, "up", "--port", str(port), "--sandbox-port", str(sandbox_port)) as command:
            figures = measure(command, began, port, sandbox_port, clip)
    print(f"clip={clip.name}")
    for name, value in figures.items():
        print(f"{name}={value:.2f}")


if __name__ == "__main__":
    main()
