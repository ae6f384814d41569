"""Range readers: files, objects, slices."""

from pathlib import Path

import pytest

from templategen.video.source import FileSource, NeedBytes, ObjectSource, SourceError, SparseSource

KIB = 1024
DATA = bytes(range(256)) * 8 * KIB  # 2 MiB


def sparse(*ranges: tuple[int, int], size: int = len(DATA)) -> SparseSource:
    return SparseSource(size, [(start, DATA[start:end]) for start, end in ranges])


def objects() -> tuple[ObjectSource, list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return DATA[start:end]

    return ObjectSource(len(DATA), fetch), asked


def test_a_file_gives_what_lies_at_an_offset_and_less_only_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA[:1000])
    with FileSource(tmp_path / "f") as source:
        assert source.size == 1000
        assert source.read_at(10, 5) == DATA[10:15]
        assert source.read_at(990, 50) == DATA[990:1000]
        assert source.read_at(5000, 1) == b""


def test_a_file_that_is_not_there_is_the_sources_failure(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be opened"):
        FileSource(tmp_path / "nothing")


def test_a_closed_file_is_the_sources_failure(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    source = FileSource(tmp_path / "f")
    source.close()
    with pytest.raises(SourceError, match="cannot be read"):
        source.read_at(0, 1)


@pytest.mark.parametrize("wrong", [(-1, 4), (0, -4)])
def test_negative_numbers_are_a_mistake_of_the_caller(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        sparse((0, 100)).read_at(*wrong)


def test_slices_that_touch_or_overlap_are_one() -> None:
    source = sparse((50, 120), (0, 60), (120, 200), (10, 20))
    assert source.read_at(0, 200) == DATA[:200]
    assert source.bytes_held == 200


@pytest.mark.parametrize(("offset", "data"), [(-1, b"ab"), (9, b"ab"), (11, b"a")])
def test_a_slice_outside_the_file_is_refused(offset: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="outside"):
        SparseSource(10, [(offset, data)])


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        SparseSource(-1, [])


def test_an_empty_slice_at_the_end_is_nothing() -> None:
    assert SparseSource(10, [(10, b"")]).bytes_held == 0


def test_unknown_bytes_are_asked_for_without_those_already_there() -> None:
    with pytest.raises(NeedBytes) as need:
        sparse((0, 1000)).read_at(900, 200)
    assert need.value.start == 1000
    assert need.value.end >= 1000 + 128 * KIB


def test_a_large_read_is_asked_for_in_one_piece() -> None:
    with pytest.raises(NeedBytes) as need:
        sparse((0, 1000)).read_at(500_000, 1_000_000)
    assert need.value.start == 500_000
    assert 1_500_000 <= need.value.end <= 1_600_000


def test_no_byte_is_asked_for_twice_or_beyond_the_end() -> None:
    source = sparse((0, 1000), (50_000, len(DATA)))
    with pytest.raises(NeedBytes) as need:
        source.read_at(1000, 10)
    assert (need.value.start, need.value.end) == (1000, 50_000)
    with pytest.raises(NeedBytes) as need:
        sparse((0, 1000)).read_at(len(DATA) - 10, 10)
    assert need.value.end == len(DATA)


def test_a_little_gap_is_closed_at_once() -> None:
    with pytest.raises(NeedBytes) as need:
        sparse((0, 1000), (250 * KIB, len(DATA))).read_at(1000, 10)
    assert (need.value.start, need.value.end) == (1000, 250 * KIB)


def test_reading_some_is_content_with_what_is_there() -> None:
    source = sparse((0, 1000))
    assert source.read_some(990, 500) == DATA[990:1000]
    with pytest.raises(NeedBytes):
        source.read_some(1000, 500)


def test_a_sparse_source_ends_where_the_file_does() -> None:
    source = sparse((900, 1000), size=1000)
    assert source.read_at(990, 100) == DATA[990:1000]
    assert source.read_at(1000, 5) == b""


def test_an_object_is_fetched_in_blocks_and_kept() -> None:
    source, asked = objects()
    for offset in range(0, 100 * KIB, 1000):
        assert source.read_at(offset, 8) == DATA[offset : offset + 8]
    assert asked == [(0, 128 * KIB)]
    assert (source.fetches, source.bytes_fetched) == (1, 128 * KIB)


def test_reading_on_and_on_takes_ever_larger_blocks() -> None:
    source, asked = objects()
    assert b"".join(source.read_at(at, 16 * KIB) for at in range(0, len(DATA), 16 * KIB)) == DATA
    assert len(asked) <= 5


def test_no_part_of_an_object_is_fetched_twice() -> None:
    source, asked = objects()
    source.read_at(200 * KIB, 10)
    assert source.read_at(150 * KIB, 100 * KIB) == DATA[150 * KIB : 250 * KIB]
    assert asked == [(200 * KIB, 328 * KIB), (150 * KIB, 200 * KIB)]


def test_an_object_that_gives_too_little_is_the_sources_failure() -> None:
    with pytest.raises(SourceError, match="came"):
        ObjectSource(100, lambda _start, _end: b"short").read_at(0, 10)
