"""The sandbox's tasks: slots, rates, accounts, retention, and what becomes of a clip."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.clips import clip_bytes
from tests.dashscope_calls import NOWHERE, DashScope, dashscope, within_a_second
from tests.media import media
from tests.sandbox import Sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[DashScope]:
    """The calls with the default key."""
    with dashscope(sandbox) as calls:
        yield calls


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, None),
        ({"suffix": "mov"}, None),
        ({"suffix": "avi"}, None),
        ({"codec": "hevc"}, None),
        ({"width": 196}, "InvalidFile.Resolution"),
        ({"height": 2056}, "InvalidFile.Resolution"),
        ({"width": 200, "height": 616}, "InvalidFile.AspectRatio"),
        ({"width": 616, "height": 200}, "InvalidFile.AspectRatio"),
        ({"width": 200, "height": 600}, None),
        ({"seconds": 1.5}, "InvalidFile.Duration"),
        ({"seconds": 2.0}, None),
        ({"seconds": 61.0}, "InvalidFile.Duration"),
        ({"fps": 23}, "InvalidFile.FPS"),
        ({"codec": "mpeg4"}, "InvalidFile.Format"),
        ({"suffix": "mkv"}, "InvalidFile.Format"),
    ],
    ids=str,
)
def test_each_documented_limit_is_checked(api: DashScope, options: dict[str, int], code: str | None) -> None:
    done = api.outcome(clip_bytes(**options))
    assert (done["status"], done["code"]) == ("FAILED" if code else "SUCCEEDED", code)


@pytest.mark.parametrize(
    "data",
    [
        b"no video",
        b"<html></html>",
        clip_bytes()[:2000],
        b"\x00" * 5000,
        clip_bytes()[:40] + bytes(range(256)) * 40,
        b"RIFF\0\0\0\0AVI ",
    ],
    ids=["text", "html", "cut", "zeros", "garbage", "avi-header"],
)
def test_what_is_no_video_cannot_be_opened(api: DashScope, data: bytes) -> None:
    done = api.outcome(data)
    assert (done["status"], done["code"]) == ("FAILED", "InvalidFile.Openerror")


@pytest.mark.parametrize(
    "url",
    [
        NOWHERE,
        "file:///etc/hostname",
        "/tmp/clip.mp4",
        "http://",
        "oss://bucket/key",
        "http://127.0.0.1:99999/x",
        "http://[x",
    ],
)
def test_an_address_that_gives_nothing_is_refused_with_its_code(api: DashScope, url: str) -> None:
    done = api.sandbox.wait_for(api.submitted(url))
    assert (done["status"], done["code"]) == ("FAILED", "InvalidURL.ConnectionRefused")
    assert url in done["message"]


def test_an_address_whose_signature_is_broken_is_refused(api: DashScope) -> None:
    done = api.sandbox.wait_for(api.submitted(api.stored(clip_bytes()) + "&more=1"))
    assert (done["status"], done["code"]) == ("FAILED", "InvalidURL.ConnectionRefused")


class Odd(BaseHTTPRequestHandler):
    """Serves a redirect, an answer cut short, and one that never ends; counts what is asked."""

    asked: list[str] = []

    def do_GET(self) -> None:
        """By path."""
        self.asked.append(f"{self.command} {self.path}")
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 10)
        if self.path == "/drip":
            with contextlib.suppress(OSError):
                for _ in range(600):
                    time.sleep(0.05)
                    self.wfile.write(b"x")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        """Quiet."""


@pytest.fixture
def odd_server() -> Iterator[str]:
    """The address of such a server."""
    server = HTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    Odd.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_redirects_are_not_followed_and_cut_answers_not_taken(api: DashScope, odd_server: str) -> None:
    for path in ("/redirect", "/cut"):
        done = api.sandbox.wait_for(api.submitted(odd_server + path))
        assert done["code"] == "InvalidURL.ConnectionRefused"
    assert Odd.asked == ["GET /redirect", "GET /cut"]


def test_a_download_that_drips_runs_into_the_time_limit(api: DashScope, odd_server: str) -> None:
    api.sandbox.settings(download_seconds=0.5)
    started = time.monotonic()
    done = api.sandbox.wait_for(api.submitted(odd_server + "/drip"))
    assert done["code"] == "InvalidURL.Timeout"
    # It would drip for half a minute.
    assert time.monotonic() - started < 15


def test_one_task_runs_at_a_time_first_come_first_served(api: DashScope) -> None:
    api.sandbox.settings(run_seconds=60)
    ids = [api.submitted() for _ in range(4)]
    api.sandbox.wait_for(ids[0], "RUNNING")
    assert [api.output(task_id)["task_status"] for task_id in ids] == ["RUNNING", "PENDING", "PENDING", "PENDING"]
    api.sandbox.settings(run_seconds=0.2)
    done = [api.sandbox.wait_for(task_id) for task_id in ids]
    for before, after in itertools.pairwise(done):
        assert before["ended"] <= after["scheduled"]
    assert done[0]["ended"] - done[0]["scheduled"] >= 0.2


def test_more_slots_run_more_tasks_at_once(api: DashScope) -> None:
    api.sandbox.settings(run_seconds=60, running_tasks=3)
    ids = [api.submitted() for _ in range(4)]
    for task_id in ids[:3]:
        api.sandbox.wait_for(task_id, "RUNNING")
    assert api.output(ids[3])["task_status"] == "PENDING"
    api.sandbox.settings(run_seconds=0)
    for task_id in ids:
        api.sandbox.wait_for(task_id, "FAILED")


def test_a_cancelled_task_frees_its_place_and_a_running_one_cannot_be_cancelled(api: DashScope) -> None:
    api.sandbox.settings(run_seconds=60)
    running, waiting, next_one = api.submitted(), api.submitted(), api.submitted()
    api.sandbox.wait_for(running, "RUNNING")
    assert api.cancel(waiting).json().keys() == {"request_id"}
    refused = api.cancel(running)
    assert (refused.status_code, refused.json()["code"]) == (400, "UnsupportedOperation")
    assert api.cancel("no-such-task").status_code == 400
    assert api.cancel(waiting).status_code == 400
    assert api.output(waiting)["task_status"] == "CANCELED"
    api.sandbox.settings(run_seconds=0)
    api.sandbox.wait_for(next_one, "FAILED")


def test_the_sixth_submit_in_a_second_is_throttled(api: DashScope) -> None:
    api.sandbox.settings(submits_per_second=5)
    answers = within_a_second(api.submit, 7)
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].json()["code"] == "Throttling.RateQuota"
    time.sleep(1)
    assert api.submit().status_code == 200


def test_each_kind_of_query_has_its_own_limit(api: DashScope) -> None:
    api.sandbox.settings(queries_per_second=3)
    for call in (lambda: api.get("x"), api.list, lambda: api.cancel("x")):
        answers = within_a_second(call, 4)
        assert [answer.status_code == 429 for answer in answers] == [False, False, False, True]


def test_a_finished_task_is_unknown_once_its_time_is_over(api: DashScope) -> None:
    task_id = api.submitted()
    api.sandbox.wait_for(task_id)
    assert api.list({"task_id": task_id}).json()["total"] == 1
    api.sandbox.settings(retention_hours=0)
    assert api.output(task_id) == {"task_id": task_id, "task_status": "UNKNOWN"}
    assert api.list({"task_id": task_id}).json()["total"] == 0
    assert any(task["task_id"] == task_id for task in api.sandbox.tasks())


def test_the_list_filters_and_pages(api: DashScope) -> None:
    api.sandbox.settings(running_tasks=0)
    ids = [api.submitted() for _ in range(5)]
    api.cancel(ids[0])
    waiting = api.list({"status": "PENDING", "page_size": 3}).json()
    assert (waiting["total"], waiting["total_page"]) == (4, 2)
    assert [row["task_id"] for row in waiting["data"]] == ids[:1:-1]
    second = api.list({"status": "PENDING", "page_size": 3, "page_no": 2}).json()
    assert [row["task_id"] for row in second["data"]] == [ids[1]]
    assert api.list({"task_id": ids[0]}).json()["data"][0]["status"] == "CANCELED"
    assert api.list({"model_name": "another"}).json()["data"] == []
    assert api.list({"region": "cn-hangzhou"}).json()["data"] == []
    api.sandbox.settings(running_tasks=5)
    for task_id in ids[1:]:
        api.sandbox.wait_for(task_id)


def test_the_list_has_a_window_of_a_day_in_the_time_of_china(api: DashScope) -> None:
    task_id = api.submitted()

    def china(offset: float) -> str:
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + 8 * 3600 + offset))

    def found(**window: str) -> bool:
        rows = api.list({"task_id": task_id, **window}).json()["data"]
        return bool(rows)

    assert found(start_time=china(-300))
    assert found(end_time=china(1))
    assert found(start_time=china(-300), end_time=china(1))
    assert not found(end_time=china(-300))
    assert not found(start_time=china(-25 * 3600))
    for wrong in (
        {"start_time": china(-86_460), "end_time": china(0)},
        {"start_time": china(0), "end_time": china(-60)},
        {"start_time": "yesterday"},
        {"start_time": "20261399000000"},
        {"page_size": "101"},
        {"page_no": "0"},
    ):
        refused = api.list(wrong)
        assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter")


def test_the_keys_of_an_account_share_its_tasks_and_others_see_nothing(tmp_path: Path) -> None:
    keys = [f"--api-key={key}" for key in ("sk-a=one", "sk-b=one", "sk-c=two")]
    sandbox = Sandbox(tmp_path, *keys)
    try:
        with (
            dashscope(sandbox, "sk-a") as first,
            dashscope(sandbox, "sk-b") as second,
            dashscope(sandbox, "sk-c") as other,
        ):
            sandbox.settings(run_seconds=60)
            task_id, queued = first.submitted(), second.submitted()
            elsewhere = other.submitted()
            sandbox.wait_for(task_id, "RUNNING")
            sandbox.wait_for(elsewhere, "RUNNING")
            assert second.output(task_id)["task_status"] == "RUNNING"
            assert first.output(queued)["task_status"] == "PENDING"
            assert other.output(task_id) == {"task_id": task_id, "task_status": "UNKNOWN"}
            assert other.cancel(queued).status_code == 400
            assert {row["task_id"] for row in other.list().json()["data"]} == {elsewhere}
            rows = {row["task_id"]: row for row in second.list().json()["data"]}
            assert rows.keys() == {task_id, queued}
            assert rows[task_id]["caller_uid"] == rows[queued]["caller_uid"]
            assert rows[task_id]["api_key_id"] != rows[queued]["api_key_id"]
    finally:
        sandbox.stop()


def test_a_real_dance_becomes_a_template(api: DashScope) -> None:
    done = api.outcome(media("dance.mp4").read_bytes())
    assert done["status"] == "SUCCEEDED"
    output = api.get(done["task_id"]).json()
    assert output["output"]["template_id"] == done["template_id"]
    assert output["usage"] == {"video_duration": 12.0, "video_ratio": "standard"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("street.avi", None),
        ("drawn-skeleton.mp4", None),
        ("mpeg4-320x240.avi", "InvalidFile.Format"),
        ("walk-10fps-139s.mp4", "InvalidFile.Duration"),
    ],
)
def test_real_clips_end_as_their_facts_say(api: DashScope, name: str, code: str | None) -> None:
    assert api.outcome(media(name).read_bytes())["code"] == code
