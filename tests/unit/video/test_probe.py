"""The probe on clips that are what they say: facts, verdicts and the first frame, from every kind of source."""

import io
import multiprocessing
import struct
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from templategen.video.probe import Probe, probe
from templategen.video.source import FileSource, NeedBytes, SourceError, SparseSource
from tests.clips import clip_bytes, make_clip
from tests.media import media
from tests.surgery import body, box, find, poke, replace
from tests.unit.video.looking import Bytes, as_object, by_slices, failed, look, warned

FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
ELST = "moov/trak/edts/elst"


def every_way(path: Path) -> Iterator[Probe]:
    """The same file from disk, as an object, and by slices."""
    data = path.read_bytes()
    with FileSource(path) as source:
        yield probe(source)
    yield probe(as_object(data))
    yield by_slices(data)[0]


def picture(result: Probe) -> Any:
    """The first frame, decoded again."""
    assert result.first_frame is not None
    with av.open(io.BytesIO(result.first_frame)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "h264"), ("mp4", "hevc"), ("mov", "h264"), ("mov", "hevc"), ("avi", "h264")]
)
def test_a_good_clip_passes_in_every_container_and_codec(suffix: str, codec: str) -> None:
    result = look(clip_bytes(suffix=suffix, codec=codec))
    assert result.ok, result.findings
    facts = result.facts
    assert facts is not None
    assert (facts.container, facts.codec, facts.width, facts.height) == (suffix, codec, 256, 352)
    assert (facts.fps, facts.frames, facts.duration_s) == (24, 60, 2.5)
    assert not facts.variable_fps


def test_a_good_clip_passes_from_every_source(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    results = list(every_way(path))
    assert all(result == results[0] for result in results)
    assert results[0].ok


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mov").rename(tmp_path / "clip.txt")
    with FileSource(tmp_path / "clip.txt") as source:
        facts = probe(source).facts
    assert facts is not None
    assert facts.container == "mov"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"width": 198}, {("width", "too_low")}),
        ({"height": 2050, "width": 1024, "seconds": 2}, {("height", "too_high")}),
        ({"width": 256, "height": 800}, {("ratio", "too_high")}),
        ({"width": 800, "height": 256}, {("ratio", "too_low")}),
        ({"fps": 20}, {("fps", "too_low")}),
        ({"fps": Fraction(24000, 1001)}, {("fps", "too_low")}),
        ({"seconds": 1.9}, {("duration", "too_low")}),
        ({"seconds": 61, "width": 200, "height": 200}, {("duration", "too_high")}),
        ({"seconds": 60, "width": 200, "height": 200}, set()),
        ({"codec": "mpeg4"}, {("codec", "not_allowed")}),
    ],
)
def test_a_clip_that_breaks_a_rule_fails_by_that_rule_alone(
    values: dict[str, Any], wanted: set[tuple[str, str]]
) -> None:
    assert failed(look(clip_bytes(**values))) == wanted


def test_sound_is_noticed_and_harmless() -> None:
    for suffix in ("mp4", "avi"):
        result = look(clip_bytes(suffix=suffix, audio=True))
        assert result.ok, result.findings
        assert result.facts is not None
        assert (result.facts.has_audio, result.facts.audio_codec, result.facts.streams) == (True, "aac", 2)


def corner_clip(path: Path, rotation: int) -> Path:
    """Black, with the upper left quarter white, to be shown turned by `rotation`."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.set_display_rotation(-rotation)
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane, dark, bright in zip(frame.planes, (16, 128, 128), (235, 128, 128), strict=True):
            half, rows = plane.line_size // 2, plane.height // 2
            plane.update(
                (bytes([bright]) * half + bytes([dark]) * (plane.line_size - half)) * rows
                + bytes([dark]) * plane.line_size * (plane.height - rows)
            )
        for number in range(48):
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (270, (0, 1))], ids=["0", "90", "180", "270"]
)
def test_rotation_turns_the_sides_and_the_picture(tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
    with FileSource(corner_clip(tmp_path / "c.mp4", rotation)) as source:
        result = probe(source)
    assert result.facts is not None
    sides = (240, 320) if rotation in {90, 270} else (320, 240)
    assert (result.facts.rotation, (result.facts.width, result.facts.height)) == (rotation, sides)
    frame = picture(result)
    assert (frame.width, frame.height) == sides
    plane = frame.planes[0]
    light = {
        (x, y): bytes(plane)[plane.line_size * (frame.height * (1 + 2 * y) // 4) + frame.width * (1 + 2 * x) // 4]
        for x in (0, 1)
        for y in (0, 1)
    }
    assert max(light, key=lambda place: light[place]) == corner


def test_rotation_counts_before_the_sides_are_judged() -> None:
    upright = look(clip_bytes(width=600, height=200, rotation=90))
    assert upright.ok
    assert upright.facts is not None
    assert (upright.facts.width, upright.facts.height) == (200, 600)


def test_the_first_frame_is_made_to_fit() -> None:
    frame = picture(probe(Bytes(clip_bytes(width=512, height=704)), frame_side=320))
    assert (frame.width, frame.height) == (233, 320)


def test_frames_out_of_order_change_nothing() -> None:
    for suffix in ("mp4", "avi"):
        result = look(clip_bytes(suffix=suffix, x264="bframes=3:b-adapt=0"))
        assert result.ok, result.findings
        assert result.facts is not None
        assert (result.facts.frames, result.facts.fps, result.facts.duration_s) == (60, 24, 2.5)


def uneven(gaps: list[int]) -> bytes:
    """A good clip whose frames last `gaps` ticks, over and over."""
    table = b"".join(struct.pack(">II", 1, gaps[number % len(gaps)]) for number in range(60))
    whole = sum(gaps[number % len(gaps)] for number in range(60))
    data = replace(clip_bytes(), "moov/trak/mdia/minf/stbl/stts", box(b"stts", struct.pack(">II", 0, 60) + table))
    data = poke(data, "moov/trak/mdia/mdhd", 16, struct.pack(">I", whole))
    thousandths = struct.pack(">I", whole * 1000 // 12288)
    data = poke(data, ELST, 8, thousandths)
    return poke(data, "moov/mvhd", 16, thousandths)


def test_a_variable_frame_rate_counts_by_its_real_average() -> None:
    fast, slow = look(uneven([256, 700])), look(uneven([512, 700]))
    assert fast.facts is not None
    assert fast.facts.variable_fps
    assert fast.facts.fps == pytest.approx(60 * 12288 / (30 * 956))
    assert fast.ok, fast.findings
    assert failed(slow) == {("fps", "too_low")}


def test_jitter_of_a_tick_is_no_variable_rate() -> None:
    facts = look(uneven([511, 512, 513])).facts
    assert facts is not None
    assert not facts.variable_fps


def edited(*edits: tuple[int, int]) -> bytes:
    """A 4 s clip shown by these edits: (thousandths, first tick of the medium or -1 for nothing)."""
    data = clip_bytes(seconds=4)
    rows = b"".join(struct.pack(">IiI", length, start, 1 << 16) for length, start in edits)
    data = replace(data, ELST, box(b"elst", struct.pack(">II", 0, len(edits)) + rows))
    return poke(data, "moov/mvhd", 16, struct.pack(">I", sum(length for length, _ in edits)))


def test_an_edit_list_decides_what_is_shown() -> None:
    for data in (edited((2500, 12288)), edited((2500, 0))):
        result = look(data)
        assert result.ok, result.findings
        assert result.facts is not None
        assert (result.facts.frames, result.facts.duration_s, result.facts.fps) == (60, 2.5, 24)


def test_the_first_frame_is_the_first_that_is_shown() -> None:
    start, later = picture(look(edited((2500, 0)))), picture(look(edited((2500, 12288))))
    assert bytes(start.planes[0])[0] + 20 < bytes(later.planes[0])[0]


def test_frames_in_front_of_the_edit_are_dropped_also_where_frames_are_out_of_order() -> None:
    data = clip_bytes(seconds=4, x264="bframes=3:b-adapt=0:keyint=96")
    offset = struct.unpack(">i", body(data, ELST)[12:16])[0]
    data = poke(data, ELST, 8, struct.pack(">Ii", 2500, offset + 12288))
    plain = picture(look(edited((2500, 12288))))
    result = look(poke(data, "moov/mvhd", 16, struct.pack(">I", 2500)))
    assert result.ok, result.findings
    assert abs(bytes(picture(result).planes[0])[0] - bytes(plain.planes[0])[0]) <= 2


def test_a_clip_that_begins_without_a_key_frame_shows_the_first_it_has() -> None:
    data = clip_bytes(x264="keyint=10:scenecut=0")
    stss = body(data, "moov/trak/mdia/minf/stbl/stss")
    size = struct.unpack(">I", body(data, "moov/trak/mdia/minf/stbl/stsz")[12:16])[0]
    start = find(data, "mdat")[0] + 8
    spoiled = data[:start] + struct.pack(">I", size - 4) + b"\x0c" + b"\xff" * (size - 5) + data[start + size :]
    late = struct.pack(">I", len(stss[8:]) // 4 - 1) + stss[12:]
    spoiled = replace(spoiled, "moov/trak/mdia/minf/stbl/stss", box(b"stss", bytes(4) + late))
    result = look(spoiled)
    assert result.first_frame is not None
    assert not failed(result)


def test_a_late_start_is_not_counted() -> None:
    result = look(edited((1000, -1), (4000, 0)))
    assert result.ok, result.findings
    assert result.facts is not None
    assert result.facts.duration_s == 4


def test_fragments_are_added_up() -> None:
    data = clip_bytes(seconds=4, movflags=FRAGMENTS, x264="keyint=12")
    for result in (look(data), probe(as_object(data))):
        assert result.ok, result.findings
        assert result.facts is not None
        assert result.facts.fragmented
        assert (result.facts.frames, result.facts.fps, result.facts.duration_s) == (96, 24, 4)


def test_fragments_with_an_index_in_front_need_no_visit() -> None:
    data = clip_bytes(seconds=4, movflags=f"{FRAGMENTS}+global_sidx", x264="keyint=12")
    result, trips, _ = by_slices(data)
    assert result.ok, result.findings
    assert result.facts is not None
    assert (result.facts.duration_s, trips) == (4, 1)


@pytest.mark.parametrize("flags", ["", "+dash"])
def test_fragments_without_a_whole_index_leave_the_length_open_until_all_is_there(flags: str) -> None:
    data = clip_bytes(seconds=4, movflags=FRAGMENTS + flags, noise=True, x264="keyint=12")
    result, _, sent = by_slices(data)
    assert result.ok
    assert warned(result) == {("duration", "unknown")}
    assert sent < len(data) / 2
    assert not warned(look(data))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dance.mp4", set()),
        ("street.avi", set()),
        ("drawn-skeleton.mp4", set()),
        ("mpeg4-320x240.avi", {("codec", "not_allowed")}),
        ("walk-10fps-139s.mp4", {("fps", "too_low"), ("duration", "too_high")}),
    ],
)
def test_real_clips_come_out_as_their_list_says(name: str, wanted: set[tuple[str, str]]) -> None:
    results = list(every_way(media(name)))
    assert [failed(result) for result in results] == [wanted] * 3
    assert len({result.first_frame for result in results}) == 1
    assert results[0].first_frame is not None


def test_a_real_clip_has_the_facts_that_its_list_says() -> None:
    with FileSource(media("dance.mp4")) as source:
        facts = probe(source).facts
    assert facts is not None
    assert (facts.width, facts.height, facts.fps, facts.duration_s, facts.has_audio) == (1080, 1920, 24, 12, True)


def test_an_object_is_read_in_few_fetches_and_not_whole() -> None:
    source = as_object(media("dance.mp4").read_bytes())
    assert probe(source).ok
    assert source.fetches <= 4
    assert source.bytes_fetched < source.size / 3


class Failing(Bytes):
    """Fails at the second read."""

    def __init__(self, data: bytes, error: Exception) -> None:
        super().__init__(data)
        self._error = error
        self._reads = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self._reads += 1
        if self._reads > 1:
            raise self._error
        return super().read_at(offset, length)


def test_a_source_that_fails_is_not_the_files_fault() -> None:
    for error in (SourceError("gone"), NeedBytes(1, 2), KeyError("anything else")):
        with pytest.raises(type(error)) as caught:
            probe(Failing(clip_bytes(), error))
        assert caught.value is error


def test_a_sparse_source_says_what_it_needs() -> None:
    data = clip_bytes()
    with pytest.raises(NeedBytes) as need:
        probe(SparseSource(len(data), [(0, data[:1000])]))
    assert need.value.start >= 1000


def test_the_probe_runs_in_threads() -> None:
    results: list[Probe] = []
    threads = [threading.Thread(target=lambda: results.append(look(clip_bytes()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [result.ok for result in results] == [True] * 4


def _report(data: bytes, pipe: Any) -> None:
    pipe.send(look(data).ok)


def test_the_probe_runs_in_daemonic_processes() -> None:
    """Workers are such: they may start no process of their own by way of multiprocessing."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_report, args=(clip_bytes(), theirs), daemon=True)
    process.start()
    assert ours.poll(60)
    assert ours.recv() is True
    process.join(timeout=60)
    assert process.exitcode == 0


def test_what_the_surgery_changes_is_what_was_meant() -> None:
    """The tools of these tests: a box replaced by itself changes nothing."""
    data = clip_bytes()
    start, end = find(data, ELST)
    assert replace(data, ELST, data[start:end]) == data
    assert body(data, ELST) == data[start + 8 : end]
