"""The table of limits, and the judge: the edges of each rule."""

import dataclasses
import json

import pytest

from templategen.video.facts import Facts, Finding
from templategen.video.limits import LIMITS, judge, judge_size

GOOD = Facts(
    container="mp4",
    codec="h264",
    size_bytes=1_000_000,
    width=512,
    height=704,
    rotation=0,
    fps=24.0,
    variable_fps=False,
    frames=60,
    duration_s=2.5,
    claimed_duration_s=2.5,
    container_duration_s=2.5,
    has_audio=False,
    audio_codec=None,
    video_streams=1,
    streams=1,
    pixel_format="yuv420p",
    sample_aspect=None,
)


def code(rule: str, **changes: object) -> str:
    """The code of this rule's finding for a good clip with these changes."""
    (finding,) = [each for each in judge(dataclasses.replace(GOOD, **changes)) if each.rule == rule]  # type: ignore[arg-type]
    assert (finding.verdict == "pass") == (finding.code == "ok")
    return finding.code


def test_every_rule_is_judged_also_where_all_pass() -> None:
    findings = judge(GOOD)
    assert [finding.rule for finding in findings] == list(LIMITS)
    assert {finding.verdict for finding in findings} == {"pass"}


@pytest.mark.parametrize(("container", "wanted"), [("mp4", "ok"), ("mov", "ok"), ("avi", "ok"), ("3gp", "not_allowed")])
def test_three_containers_are_allowed(container: str, wanted: str) -> None:
    assert code("container", container=container) == wanted


@pytest.mark.parametrize(("codec", "wanted"), [("h264", "ok"), ("hevc", "ok"), ("vp9", "not_allowed")])
def test_two_codecs_are_allowed(codec: str, wanted: str) -> None:
    assert code("codec", codec=codec) == wanted


@pytest.mark.parametrize(
    ("size", "wanted"), [(0, "too_low"), (1, "ok"), (199_999_999, "ok"), (200_000_000, "too_high")]
)
def test_a_clip_is_smaller_than_200_million_bytes(size: int, wanted: str) -> None:
    assert judge_size(size).code == wanted
    assert code("size", size_bytes=size) == wanted


@pytest.mark.parametrize(("side", "wanted"), [(199, "too_low"), (200, "ok"), (2048, "ok"), (2049, "too_high")])
@pytest.mark.parametrize("name", ["width", "height"])
def test_each_side_has_200_to_2048_pixels(name: str, side: int, wanted: str) -> None:
    assert code(name, **{name: side}) == wanted


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [(0.0, "too_low"), (24000 / 1001, "too_low"), (23.98, "too_low"), (23.994, "ok"), (24.0, "ok"), (240.0, "ok")],
)
def test_24_frames_a_second_less_no_more_than_rounding(fps: float, wanted: str) -> None:
    assert code("fps", fps=fps) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0.0, "too_low"), (1.99, "too_low"), (2.0, "ok"), (60.0, "ok"), (60.0004, "ok"), (60.001, "too_high")],
)
def test_2_to_60_seconds_with_both_ends(seconds: float, wanted: str) -> None:
    assert code("duration", duration_s=seconds, container_duration_s=None) == wanted


@pytest.mark.parametrize(
    ("width", "height", "wanted"),
    [(600, 200, "ok"), (200, 600, "ok"), (601, 200, "too_low"), (200, 601, "too_high"), (0, 0, "too_low")],
)
def test_no_side_is_more_than_three_times_the_other(width: int, height: int, wanted: str) -> None:
    assert code("ratio", width=width, height=height) == wanted


def test_a_sound_that_goes_on_after_the_sixtieth_second_is_a_warning() -> None:
    assert code("duration", duration_s=60.0, container_duration_s=60.02) == "sound_longer"
    assert code("duration", duration_s=2.5, container_duration_s=1.0) == "ok"


def test_what_is_not_known_yet_is_a_warning() -> None:
    (finding,) = [each for each in judge(dataclasses.replace(GOOD, duration_s=None)) if each.rule == "duration"]
    assert (finding.verdict, finding.measured, finding.code) == ("warn", None, "unknown")


def test_facts_and_findings_go_through_json_and_back() -> None:
    assert Facts.from_dict(json.loads(json.dumps(GOOD.to_dict()))) == GOOD
    for finding in judge(GOOD):
        assert Finding.from_dict(json.loads(json.dumps(finding.to_dict()))) == finding


@pytest.mark.parametrize(
    "change",
    [{"width": "512"}, {"fps": "24"}, {"fps": float("nan")}, {"codec": None}, {"has_audio": 1}, {"audio_codec": 7}],
)
def test_facts_of_the_wrong_type_are_refused(change: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Facts.from_dict(GOOD.to_dict() | change)


def test_facts_with_something_missing_are_refused() -> None:
    data = GOOD.to_dict()
    del data["width"]
    with pytest.raises(TypeError):
        Facts.from_dict(data)


def test_a_later_versions_facts_can_be_read() -> None:
    assert Facts.from_dict(GOOD.to_dict() | {"people": 1}) == GOOD
