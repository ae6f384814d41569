"""Range headers as OSS reads them."""

import pytest

from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.ranges import choose


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-499", (0, 500, True)),
        ("bytes=500-", (500, 500, True)),
        ("bytes=-1", (999, 1, True)),
        ("bytes=-1000", (0, 1000, True)),
        ("bytes=0-0", (0, 1, True)),
        ("bytes=999-999", (999, 1, True)),
        ("bytes=0-9,20-29", (0, 10, True)),
    ],
)
@pytest.mark.parametrize("standard", [False, True])
def test_a_range_inside_the_object_gives_its_bytes(
    header: str, expected: tuple[int, int, bool], standard: bool
) -> None:
    assert choose(header, 1000, standard=standard) == expected


@pytest.mark.parametrize(
    "header", ["byte=0-499", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=0x1-2", "bytes=1--2", "items=0-1"]
)
@pytest.mark.parametrize("standard", [False, True])
def test_a_malformed_range_is_ignored(header: str, standard: bool) -> None:
    assert choose(header, 1000, standard=standard) == (0, 1000, False)


@pytest.mark.parametrize(
    ("header", "clamped"),
    [
        ("bytes=0-1000", (0, 1000, True)),
        ("bytes=990-5000", (990, 10, True)),
        ("bytes=-2000", (0, 1000, True)),
        ("bytes=1000-", None),
        ("bytes=1000-2000", None),
        ("bytes=-0", None),
    ],
)
def test_a_range_beyond_the_object_is_ignored_or_in_the_standard_behaviour_clamped_or_416(
    header: str, clamped: tuple[int, int, bool] | None
) -> None:
    assert choose(header, 1000, standard=False) == (0, 1000, False)
    if clamped:
        assert choose(header, 1000, standard=True) == clamped
    else:
        with pytest.raises(OssError) as refused:
            choose(header, 1000, standard=True)
        assert (refused.value.status, refused.value.code) == (416, "InvalidRange")


def test_an_empty_object_has_no_range() -> None:
    for header in ("bytes=0-", "bytes=0-0", "bytes=-5"):
        assert choose(header, 0, standard=False) == (0, 0, False)
        with pytest.raises(OssError):
            choose(header, 0, standard=True)
