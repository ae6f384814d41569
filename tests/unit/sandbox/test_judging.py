"""The sandbox's own reading of the documented limits, at their edges."""

import os
from pathlib import Path

import pytest

from templategen.sandbox.checks import check_file, judge
from templategen.sandbox.reader import demuxer_of

GOOD = {"codec": "h264", "width": 720, "height": 1280, "fps": 30.0, "seconds": 10.23}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"codec": "hevc"}, None),
        ({"codec": "vp9"}, "InvalidFile.Format"),
        ({"width": 200, "height": 200}, None),
        ({"width": 199}, "InvalidFile.Resolution"),
        ({"width": 2048, "height": 2048}, None),
        ({"height": 2049}, "InvalidFile.Resolution"),
        ({"width": 300, "height": 900}, None),
        ({"width": 300, "height": 901}, "InvalidFile.AspectRatio"),
        ({"width": 901, "height": 300}, "InvalidFile.AspectRatio"),
        ({"seconds": 2.0}, None),
        ({"seconds": 1.9}, "InvalidFile.Duration"),
        ({"seconds": 60.0}, None),
        ({"seconds": 60.1}, "InvalidFile.Duration"),
        ({"fps": 24.0}, None),
        ({"fps": 23.995}, None),
        ({"fps": 24_000 / 1001}, "InvalidFile.FPS"),
        ({"fps": 0.0}, "InvalidFile.FPS"),
        ({"fps": 240.0}, None),
    ],
    ids=str,
)
def test_each_limit_at_its_edge(change: dict[str, object], code: str | None) -> None:
    outcome = judge(**{**GOOD, **change})  # type: ignore[arg-type]
    assert outcome.code == code
    assert (outcome.duration is None) == (code is not None)


def test_200_million_bytes_are_too_big_whatever_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 200_000_000)
    assert check_file(path).code == "InvalidFile.Size"
    os.truncate(path, 199_999_999)
    assert check_file(path).code == "InvalidFile.Openerror"


def test_the_container_is_told_by_content() -> None:
    assert demuxer_of(b"\0\0\0\x20ftypisom") == "mov"
    assert demuxer_of(b"RIFF\0\0\0\0AVI LIST") == "avi"
    assert demuxer_of(b"RIFF\0\0\0\0WAVEfmt ") is None
    assert demuxer_of(b"\x1aE\xdf\xa3") == ""
    assert demuxer_of(b"#EXTM3U\n") is None
    assert demuxer_of(b"") is None
