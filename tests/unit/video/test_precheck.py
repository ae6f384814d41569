"""The pre-check's protocol: few bytes, few trips, and the same answer as from the whole file."""

import struct
from typing import Any

import pytest

from templategen.video.precheck import EDGE_BYTES, Need, precheck
from templategen.video.probe import Probe
from tests.clips import clip_bytes
from tests.surgery import box, find, replace
from tests.unit.video.looking import by_slices, failed, look

MB = 1_000_000


@pytest.mark.parametrize("values", [{"faststart": True}, {}, {"suffix": "mov"}, {"suffix": "avi"}])
def test_a_large_clip_is_answered_within_two_megabytes_and_two_trips(values: dict[str, Any]) -> None:
    data = clip_bytes(width=512, height=704, noise=True, audio=True, **values)
    assert len(data) > 5 * MB
    result, trips, sent = by_slices(data)
    assert result == look(data)
    assert result.ok, result.findings
    assert result.first_frame is not None
    assert trips <= 2
    assert sent <= 2 * MB


def test_a_small_clip_is_answered_at_once() -> None:
    data = clip_bytes()
    result, trips, _ = by_slices(data)
    assert (result, trips) == (look(data), 1)


def test_an_index_larger_than_what_is_sent_first_costs_one_more_trip() -> None:
    data = clip_bytes(width=512, height=704, noise=True)
    udta = data[slice(*find(data, "moov/udta"))]
    data = replace(data, "moov/udta", udta + box(b"free", bytes(700_000)))
    result, trips, sent = by_slices(data)
    assert result.ok, result.findings
    assert trips <= 3
    assert sent < 5 * MB


def test_what_is_asked_for_was_not_sent_and_lies_inside_the_file() -> None:
    data = clip_bytes(width=512, height=704, noise=True)
    answer = precheck(len(data), [(0, data[:EDGE_BYTES]), (len(data) - EDGE_BYTES, data[-EDGE_BYTES:])])
    assert isinstance(answer, Need)
    assert EDGE_BYTES <= answer.start < answer.end <= len(data) - EDGE_BYTES


def test_what_is_no_video_is_refused_by_its_first_bytes() -> None:
    answer = precheck(150 * MB, [(0, b"<html>" + bytes(EDGE_BYTES - 6))])
    assert isinstance(answer, Probe)
    assert failed(answer) == {("readable", "not_video")}


def test_a_file_that_is_too_large_is_told_so_beside_the_rest() -> None:
    data = clip_bytes(faststart=True)
    rest = box(b"free", bytes(1000))[4:]
    data += struct.pack(">I", 201 * MB - len(data)) + rest
    answer = precheck(201 * MB, [(0, data), (201 * MB - 10, bytes(10))])
    assert isinstance(answer, Probe)
    assert failed(answer) == {("size", "too_high")}
    assert answer.first_frame is not None


def test_slices_that_do_not_fit_are_a_mistake_of_the_caller() -> None:
    for size, slices in ((10, [(5, bytes(10))]), (10, [(-1, b"a")]), (-1, [])):
        with pytest.raises(ValueError, match=r"outside|negative"):
            precheck(size, slices)


def test_no_slices_at_all_are_answered_with_the_first_wish() -> None:
    answer = precheck(MB, [])
    assert isinstance(answer, Need)
    assert answer.start == 0


def test_an_empty_file_needs_no_bytes() -> None:
    answer = precheck(0, [])
    assert isinstance(answer, Probe)
    assert ("readable", "empty") in failed(answer)
