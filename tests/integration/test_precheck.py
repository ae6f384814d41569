"""The check before an upload, played as the browser plays it."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from templategen.web import probing
from tests.clips import make_clip
from tests.media import media
from tests.running import wait_until

URL = "/a/studio/precheck/"
EDGE = 256 * 1024


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


@pytest.fixture
def web(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def send(web: Client, size: object, slices: list[tuple[object, bytes]], **extra: Any) -> HttpResponse:
    body = {
        "size": size,
        "offset": [offset for offset, _data in slices],
        "slice": [SimpleUploadedFile("slice", data) for _offset, data in slices],
    }
    return web.post(URL, {**body, **extra}, headers={"Accept": "application/json"})


def play(web: Client, data: bytes) -> tuple[dict[str, Any], int, int]:
    """The browser's part: the verdict, the number of requests, the bytes sent in all."""
    ranges = [(0, len(data))] if len(data) <= 2 * EDGE else [(0, EDGE), (len(data) - EDGE, len(data))]
    trips = sent = 0
    while trips < 20:
        slices = [(start, data[start:end]) for start, end in ranges]
        answer = send(web, len(data), slices)
        assert answer.status_code == 200, answer.content
        trips += 1
        sent += sum(len(part) for _start, part in slices)
        found = answer.json()
        if "need" not in found:
            return found, trips, sent
        ranges.append(tuple(found["need"]))
    raise AssertionError("the server is never satisfied")


def failures(verdict: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in verdict["findings"] if finding["verdict"] == "fail"}


def test_a_good_clip_passes_with_its_first_frame(web: Client, clip: Path) -> None:
    verdict, trips, _sent = play(web, clip.read_bytes())
    assert verdict["ok"]
    assert trips == 1
    assert verdict["facts"]["codec"] == "h264"
    head, picture = verdict["poster"].split(",")
    assert head == "data:image/webp;base64"
    assert base64.b64decode(picture)[8:12] == b"WEBP"


def test_a_large_clip_is_judged_by_a_few_slices(web: Client, clip: Path) -> None:
    # A free box after the index: the same clip, 40 MB long.
    padding = 40_000_000
    data = clip.read_bytes() + padding.to_bytes(4, "big") + b"free" + bytes(padding - 8)
    verdict, trips, sent = play(web, data)
    assert verdict["ok"]
    assert trips <= 6
    assert sent <= 2_000_000


def test_a_broken_rule_comes_with_value_limit_and_fix(web: Client, tmp_path: Path) -> None:
    data = make_clip(tmp_path / "slow.mp4", fps=12, seconds=2.5).read_bytes()
    verdict, _trips, _sent = play(web, data)
    assert not verdict["ok"]
    assert failures(verdict) == {"fps"}
    [finding] = [finding for finding in verdict["findings"] if finding["rule"] == "fps"]
    assert "12" in finding["measured"]
    assert "24" in finding["limit"]
    assert finding["fix"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dance.mp4", set()),
        ("street.avi", set()),
        ("drawn-skeleton.mp4", set()),
        ("mpeg4-320x240.avi", {"codec"}),
        ("walk-10fps-139s.mp4", {"fps", "duration"}),
    ],
)
def test_real_clips_are_judged_as_documented(web: Client, name: str, expected: set[str]) -> None:
    verdict, trips, _sent = play(web, media(name).read_bytes())
    assert failures(verdict) == expected
    assert trips <= 6


@pytest.mark.parametrize("data", [b"", b"x", b"not a video " * 1000, b"\0\0\0\x18ftypmp42" + b"\xff" * 4000])
def test_what_is_no_video_is_a_finding(web: Client, data: bytes) -> None:
    verdict, _trips, _sent = play(web, data)
    assert not verdict["ok"]
    assert failures(verdict)


def test_a_truncated_file_is_a_finding(web: Client, clip: Path) -> None:
    data = clip.read_bytes()
    verdict, _trips, _sent = play(web, data[: len(data) * 2 // 3])
    assert not verdict["ok"]


@pytest.mark.parametrize(
    ("size", "slices"),
    [
        (100, []),
        ("many", [(0, b"x")]),
        ("", [(0, b"x")]),
        (-1, [(0, b"x")]),
        (2**60, [(0, b"x")]),
        (100, [("first", b"x")]),
        (100, [(-1, b"x")]),
        (100, [(99, b"xy")]),
        (100, [(200, b"x")]),
    ],
)
def test_slices_that_do_not_fit_are_refused_in_words(web: Client, size: object, slices: Any) -> None:
    answer = send(web, size, slices)
    assert answer.status_code == 400
    assert answer.json()["error"]["text"]


def test_each_slice_needs_its_offset(web: Client) -> None:
    answer = send(web, 100, [(0, b"x"), (1, b"y")], offset=["0"])
    assert answer.status_code == 400


def test_more_slices_than_allowed_are_refused(web: Client) -> None:
    assert send(web, 1000, [(each, b"x") for each in range(65)]).status_code == 413


@pytest.mark.parametrize("megabytes", [12.1, 17])
def test_more_bytes_than_allowed_are_refused(web: Client, megabytes: float) -> None:
    data = bytes(int(megabytes * 2**20))
    answer = send(web, len(data), [(0, data)])
    assert answer.status_code == 413
    assert answer.json()["error"]["text"]


def test_a_busy_server_says_when_to_come_back(web: Client, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("templategen.web.precheck.WAIT_SECONDS", 0.01)
    release = threading.Event()
    holders = [
        threading.Thread(target=probing.in_turn, args=(release.wait,), kwargs={"wait_seconds": 60})
        for _ in range(probing.AT_ONCE)
    ]
    for holder in holders:
        holder.start()
    try:
        wait_until(lambda: probing._places._value == 0, what="all places being taken")
        answer = send(web, 100, [(0, b"x")])
    finally:
        release.set()
        for holder in holders:
            holder.join()
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) >= 1
    assert play(web, clip.read_bytes())[0]["ok"]


def test_strangers_and_passers_by_get_nothing(client: Client, owner: User, stranger: User) -> None:
    assert send(client, 100, [(0, b"x")]).status_code == 401
    client.force_login(stranger)
    assert send(client, 100, [(0, b"x")]).status_code == 404


def test_it_cannot_be_fetched(web: Client) -> None:
    assert web.get(URL).status_code == 405
