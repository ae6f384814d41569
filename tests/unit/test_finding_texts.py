"""Findings in words: the numbers come from the finding and the table, and every failure says what to do."""

import re

import pytest
from django.utils import translation

from templategen.finding_texts import describe, limits_sentence, rules_in_words
from templategen.video.facts import Finding
from templategen.video.limits import LIMITS

READABLE = (
    "empty", "not_video", "truncated", "header_lies", "no_index", "no_frame", "too_big", "too_many_streams", "timeout",
    "crashed", "memory", "unreadable",
)  # fmt: skip


def failure(rule: str, code: str, measured: float | str | None = None) -> Finding:
    limit = LIMITS[rule].to_dict() if rule in LIMITS else None
    return Finding(rule, "fail", measured, limit, code)


@pytest.mark.parametrize(
    ("finding", "measured", "what", "fix"),
    [
        (failure("duration", "too_high", 62.4), "62.4 s", "2 to 60 s", "-t 60 -c:v libx264"),
        (failure("duration", "too_high", 60.003), "60.003 s", "2 to 60 s", "at most 60 s"),
        (failure("duration", "too_low", 1.2), "1.2 s", "2 to 60 s", "at least 2 s"),
        (failure("fps", "too_low", 23.976), "23.976 fps", "at least 24 fps", "cannot be mended"),
        (failure("codec", "not_allowed", "mpeg4"), "MPEG-4", "H.264 or H.265", "-c:v libx264"),
        (failure("container", "not_allowed", "matroska"), "Matroska (MKV)", "MP4, AVI or MOV", "-c copy"),
        (failure("size", "too_high", 250_000_000), "250 MB", "below 200 MB", "less than 200 MB"),
        (failure("width", "too_low", 100), "100 px", "200 to 2048 px", "scale=200:-2"),
        (failure("height", "too_high", 3000), "3000 px", "200 to 2048 px", "scale=-2:2048"),
        (failure("ratio", "too_high", 3.2), "1:3.2", "1:3 to 3:1", "3 times"),
        (failure("ratio", "too_low", 0.2), "5:1", "1:3 to 3:1", "3 times"),
    ],
)
def test_a_broken_rule_names_value_limit_and_remedy(finding: Finding, measured: str, what: str, fix: str) -> None:
    text = describe(finding)
    assert text.measured == measured
    assert measured in text.what
    assert what in text.what
    assert fix in text.fix


@pytest.mark.parametrize("code", READABLE)
def test_every_way_of_being_unreadable_says_what_and_what_to_do(code: str) -> None:
    text = describe(failure("readable", code, {"not_video": "html", "header_lies": 139.0}.get(code)))
    assert text.what
    assert text.fix
    assert "%(" not in text.what + text.fix


def test_a_lying_header_is_shown_beside_the_truth() -> None:
    text = describe(Finding("readable", "fail", 139.0, {"real": 2.5, "unit": "s"}, "header_lies"))
    assert "139 s" in text.what
    assert "2.5 s" in text.what


def test_a_kind_of_file_is_named_in_words_and_an_inner_error_is_not_shown() -> None:
    assert describe(failure("readable", "not_video", "html")).what.endswith("a web page.")
    assert describe(failure("readable", "no_frame", "InvalidDataError")).measured == ""


def test_sound_alone_and_no_stream_at_all_are_told_apart() -> None:
    assert describe(failure("video_stream", "audio_only")).what != describe(failure("video_stream", "no_video")).what


def test_a_rule_that_passes_says_nothing_more() -> None:
    text = describe(Finding("fps", "pass", 24.0, LIMITS["fps"].to_dict(), "ok"))
    assert (text.measured, text.what, text.fix) == ("24 fps", "", "")


def test_warnings_say_what_they_are() -> None:
    unknown = describe(Finding("duration", "warn", None, LIMITS["duration"].to_dict(), "unknown"))
    assert "after the upload" in unknown.what
    longer = describe(Finding("duration", "warn", 60.2, LIMITS["duration"].to_dict(), "sound_longer"))
    assert "60.2 s" in longer.what
    assert "-t 60" in longer.fix


def test_a_finding_of_another_version_is_shown_somehow() -> None:
    text = describe(Finding("people", "fail", 2, None, "too_many"))
    assert text.label == "people"


def test_the_pages_texts_hold_every_number_of_the_table() -> None:
    wanted = {"200", "2048", "24", "2", "60"}
    assert set(re.findall(r"\d+", limits_sentence())) >= wanted
    lines = rules_in_words()
    assert len(lines) == len(LIMITS)
    assert set(re.findall(r"\d+", " ".join(lines))) >= wanted | {"1", "3"}


def test_commands_stay_the_same_in_every_language() -> None:
    with translation.override("de"):
        assert "-t 60 " in describe(failure("duration", "too_high", 62.4)).fix
