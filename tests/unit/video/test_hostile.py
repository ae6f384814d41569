"""What files can do to a probe: each a finding, within bounded time and memory, and never an exception."""

import os
import random
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from templategen.video import probe as probe_module
from templategen.video.limits import LIMITS
from templategen.video.probe import probe
from templategen.video.source import SourceError
from tests.clips import clip_bytes, make_clip, make_sound
from tests.surgery import box, find, poke, replace
from tests.unit.video.fuzzing import damage
from tests.unit.video.looking import Bytes, failed, look

STBL = "moov/trak/mdia/minf/stbl"
SIDES = 40
"""Where the sample description names width and height."""
ROOT = Path(__file__).resolve().parents[3]


def is_finding(data: bytes, rule: str, code: str, measured: float | str | None = None) -> None:
    """The one failure beside what follows from it, with no facts."""
    result = look(data)
    assert result.facts is None
    assert not result.ok
    last = result.findings[-1]
    assert (last.rule, last.code) == (rule, code)
    if measured is not None:
        assert last.measured == measured


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<!DOCTYPE html><html><body>Sign in first</body></html>", "html"),
        (b"<?xml version='1.0'?><svg/>", "xml"),
        (b"just some words\n" * 50, "text"),
        (b"#EXTM3U\nhttp://127.0.0.1/secret.ts\n", "m3u8"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "png"),
        (b"GIF89a" + bytes(50), "gif"),
        (b"RIFF\x20\x00\x00\x00WEBPVP8 " + bytes(50), "webp"),
        (b"RIFF\x20\x00\x00\x00WAVEfmt " + bytes(50), "wav"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(50), "heif"),
        (b"PK\x03\x04" + bytes(50), "zip"),
        (bytes(5000), "zeros"),
        (bytes(range(1, 32)) * 9, "unknown"),
    ],
)
def test_what_is_not_a_video_is_named(data: bytes, name: str) -> None:
    is_finding(data, "readable", "not_video", name)


@pytest.mark.parametrize(("suffix", "name"), [("mkv", "matroska"), ("ts", "mpegts"), ("flv", "flv")])
def test_another_container_is_named(suffix: str, name: str) -> None:
    is_finding(clip_bytes(suffix=suffix), "container", "not_allowed", name)


def test_a_3gp_file_is_not_an_mp4() -> None:
    data = clip_bytes()
    is_finding(data[:8] + b"3gp4" + data[12:], "container", "not_allowed", "3gp")


def test_an_empty_file_is_a_finding() -> None:
    assert failed(look(b"")) == {("size", "too_low"), ("readable", "empty")}


@pytest.mark.parametrize("length", [1, 8, 12, 31, 40, 1000])
def test_a_few_bytes_are_a_finding(length: int) -> None:
    for data in (clip_bytes(), clip_bytes(faststart=True), clip_bytes(suffix="avi")):
        assert not look(data[:length]).ok


def test_a_truncated_file_is_a_finding() -> None:
    for data in (clip_bytes(), clip_bytes(faststart=True), clip_bytes(suffix="mov"), clip_bytes(suffix="avi")):
        for share in (0.3, 0.9):
            assert ("readable", "truncated") in failed(look(data[: int(len(data) * share)]))


def test_a_file_cut_in_its_last_sample_is_a_finding() -> None:
    result = look(clip_bytes(faststart=True)[:-1])
    assert failed(result) == {("readable", "truncated")}
    assert result.first_frame is not None


def test_fragments_that_end_too_early_are_a_finding() -> None:
    data = clip_bytes(seconds=4, movflags="frag_keyframe+empty_moov+default_base_moof", x264="keyint=12")
    assert ("readable", "truncated") in failed(look(data[: len(data) * 3 // 4]))


def test_rubbish_behind_the_end_does_no_harm() -> None:
    assert look(clip_bytes() + b"\0" * 100).ok
    assert look(clip_bytes(faststart=True) + b"rubbish" * 20).ok


def test_an_unfinished_recording_is_a_finding() -> None:
    data = clip_bytes()
    is_finding(data[: find(data, "moov")[0]], "readable", "no_index")
    avi = clip_bytes(suffix="avi")
    is_finding(avi[: avi.index(b"idx1")], "readable", "no_index")


@pytest.mark.parametrize(
    ("path", "value"),
    [("moov/mvhd", 139_000), ("moov/trak/mdia/mdhd", 139 * 12288), ("moov/trak/mdia/mdhd", 12288)],
)
def test_a_header_that_lies_about_the_length_is_a_finding(path: str, value: int) -> None:
    result = look(poke(clip_bytes(), path, 16, struct.pack(">I", value)))
    assert failed(result) == {("readable", "header_lies")}
    assert result.facts is not None
    assert result.facts.duration_s == 2.5
    lie = result.findings[-1]
    assert lie.measured in {139.0, 1.0}
    assert lie.limit == {"real": 2.5, "unit": "s"}


def test_an_edit_longer_than_the_medium_is_a_lie() -> None:
    assert ("readable", "header_lies") in failed(
        look(poke(clip_bytes(), "moov/trak/edts/elst", 8, b"\x00\x01\x00\x00"))
    )


def test_an_avi_header_that_lies_is_a_finding() -> None:
    data = clip_bytes(suffix="avi")
    length = data.index(b"strh") + 8 + 32
    assert failed(look(data[:length] + struct.pack("<I", 9000) + data[length + 4 :])) == {("readable", "header_lies")}


def test_a_header_that_lies_about_the_sides_is_not_believed() -> None:
    result = look(poke(clip_bytes(), f"{STBL}/stsd", SIDES, struct.pack(">HH", 640, 480)))
    assert result.facts is not None
    assert (result.facts.width, result.facts.height) == (256, 352)


def test_no_frames_a_second_is_a_finding() -> None:
    stopped = look(poke(clip_bytes(), f"{STBL}/stts", 12, bytes(4)))
    assert {("fps", "too_low"), ("duration", "too_low")} <= failed(stopped)
    data = clip_bytes(suffix="avi")
    rate, frame_time = data.index(b"strh") + 8 + 24, data.index(b"avih") + 8
    data = data[:rate] + bytes(4) + data[rate + 4 :]
    assert ("fps", "too_low") in failed(look(data[:frame_time] + bytes(4) + data[frame_time + 4 :]))


@pytest.mark.parametrize("ticks", [0x7FFFFFFF, 0xFFFFFFFF])
def test_an_endless_stream_is_a_finding(ticks: int) -> None:
    assert ("duration", "too_high") in failed(look(poke(clip_bytes(), f"{STBL}/stts", 12, struct.pack(">I", ticks))))


def test_a_clock_without_ticks_is_a_finding() -> None:
    assert ("fps", "too_low") in failed(look(poke(clip_bytes(), "moov/trak/mdia/mdhd", 12, bytes(4))))


@pytest.mark.parametrize("samples", [50_000_000, 0xFFFFFFF0])
def test_a_table_of_endlessly_many_samples_is_a_finding(samples: int) -> None:
    data = replace(clip_bytes(), f"{STBL}/stsz", box(b"stsz", struct.pack(">III", 0, 1, samples)))
    data = replace(data, f"{STBL}/stts", box(b"stts", struct.pack(">IIII", 0, 1, samples, 1)))
    data = replace(data, f"{STBL}/stsc", box(b"stsc", struct.pack(">IIIII", 0, 1, 1, samples, 1)))
    began = time.monotonic()
    assert not look(data).ok
    assert time.monotonic() - began < 14


def test_an_absurdly_long_table_of_times_is_a_finding() -> None:
    table = struct.pack(">II", 0, 1_100_000) + struct.pack(">II", 1, 512) * 1_100_000
    is_finding(replace(clip_bytes(), f"{STBL}/stts", box(b"stts", table)), "readable", "too_big")


def test_thousands_of_streams_are_a_finding() -> None:
    data = clip_bytes()
    trak = data[slice(*find(data, "moov/trak"))]
    is_finding(replace(data, "moov/trak", trak * 3000), "readable", "too_many_streams", 3000)
    avi = clip_bytes(suffix="avi")
    start = avi.index(b"strl") - 8
    stop = start + 8 + int.from_bytes(avi[start + 4 : start + 8], "little")
    more = avi[:start] + avi[start:stop] * 500 + avi[stop:]
    size = int.from_bytes(more[16:20], "little") + 499 * (stop - start)
    is_finding(more[:16] + struct.pack("<I", size) + more[20:], "readable", "too_many_streams", 500)


def test_an_index_of_hundreds_of_megabytes_is_refused_unread() -> None:
    head = clip_bytes()[:32]

    class Endless:
        size = 190_000_000
        read = 0

        def read_at(self, offset: int, length: int) -> bytes:
            self.read += length
            return (head + struct.pack(">I4s", self.size - len(head), b"moov") + bytes(2000))[offset : offset + length]

    source = Endless()
    result = probe(source)
    assert failed(result) == {("readable", "too_big")}
    assert source.read < 1 << 20


def test_boxes_within_boxes_within_boxes_do_no_harm() -> None:
    deep = b""
    for _ in range(20_000):
        deep = box(b"trak", deep)
    data = clip_bytes()
    began = time.monotonic()
    look(replace(data, "moov/udta", deep))
    assert time.monotonic() - began < 14


def test_a_hundred_thousand_little_boxes_are_a_finding() -> None:
    is_finding(clip_bytes()[:32] + box(b"free", b"") * 100_000, "readable", "too_big")


def test_huge_frames_are_judged_and_not_decoded(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "huge.mp4", width=8192, height=8192, seconds=0.05).read_bytes()
    for copy in (data, poke(clip_bytes(), f"{STBL}/stsd", SIDES, struct.pack(">HH", 16384, 16384))):
        result = look(copy)
        assert {("width", "too_high"), ("height", "too_high")} <= failed(result)
        assert result.first_frame is None
    # The container calls them small, the stream itself asks for 64 million pixels.
    hidden = look(poke(data, f"{STBL}/stsd", SIDES, struct.pack(">HH", 512, 704)))
    assert ("readable", "no_frame") in failed(hidden)
    assert hidden.first_frame is None


def test_sound_alone_is_a_finding(tmp_path: Path) -> None:
    for name in ("sound.mp4", "sound.mov", "sound.avi"):
        is_finding(make_sound(tmp_path / name).read_bytes(), "video_stream", "audio_only")


def test_a_movie_without_tracks_is_a_finding() -> None:
    data = clip_bytes()
    is_finding(replace(data, "moov/trak", b""), "video_stream", "no_video")


def test_pictures_that_cannot_be_decoded_are_a_finding() -> None:
    data = clip_bytes()
    start, end = find(data, "mdat")
    broken = data[: start + 8] + b"\xff" * (end - start - 8) + data[end:]
    assert failed(look(broken)) == {("readable", "no_frame")}


@pytest.mark.parametrize("length", [100, 3000, 100_000])
def test_noise_is_a_finding(length: int) -> None:
    assert not look(random.Random(length).randbytes(length)).ok


@pytest.mark.parametrize(
    ("boot", "code"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crashed"),
        ("import os; os.kill(os.getpid(), 9)", "crashed"),
        ("pass", "crashed"),
        ("raise SystemExit(7)", "crashed"),
        ("import time; time.sleep(60)", "timeout"),
        ("import os; os.write(0, b'nonsense' * 99)", "crashed"),
        ("import os; os.write(0, b'R-5 -5\\n')", "crashed"),
        ("import os; os.write(0, b'R1\\n')", "crashed"),
        ("import os; os.write(0, b'D999999999999 5\\n')", "crashed"),
        ("import os; os.write(0, b'D9 0\\n[1, 2, 3]'); os._exit(0)", "crashed"),
        ("import os; os.write(0, b'D30 0\\n' + b'{\"facts\": null, \"findings\": []}'); os._exit(0)", "crashed"),
        ("import os\nwhile True: os.write(0, b'R0 1000000\\n')", "timeout"),
        ("import os\nwhile True: os.write(0, b'R0 1000000\\n'); os.read(0, 1 << 20)", "too_big"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass", "timeout"),
    ],
)
def test_a_child_that_dies_hangs_or_lies_is_a_finding(monkeypatch: pytest.MonkeyPatch, boot: str, code: str) -> None:
    monkeypatch.setattr(probe_module, "_BOOT", boot)
    began = time.monotonic()
    # Only what never ends by itself has to wait for the bound; what ends has the time that a busy machine needs.
    result = probe(Bytes(clip_bytes()), seconds=1 if code == "timeout" and "resource" not in boot else 40)
    assert (result.facts, result.findings[-1].rule) == (None, "readable")
    assert result.findings[-1].code == code
    assert time.monotonic() - began < 35


def test_a_child_that_cannot_load_its_library_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "_BOOT", "import os; os.write(0, b'B\\n')")
    with pytest.raises(RuntimeError, match="installation"):
        probe(Bytes(clip_bytes()))


def test_the_time_limit_holds() -> None:
    began = time.monotonic()
    assert failed(probe(Bytes(clip_bytes()), seconds=0.001)) == {("readable", "timeout")}
    assert time.monotonic() - began < 10


def test_a_slow_source_is_not_the_files_fault() -> None:
    class Slow(Bytes):
        def read_at(self, offset: int, length: int) -> bytes:
            time.sleep(max(began + seconds + 0.1 - time.monotonic(), 0))
            return super().read_at(offset, length)

    # Most of the time has to go into the source: where the child itself was slow to start, with more time.
    for seconds in (1.0, 4.0, 16.0):
        began = time.monotonic()
        try:
            result = probe(Slow(clip_bytes()), seconds=seconds)
        except SourceError as problem:
            said = str(problem)
            break
        assert failed(result) == {("readable", "timeout")}
    else:
        pytest.fail("the file was blamed")
    assert "slowly" in said


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc to look at")
def test_nothing_is_left_behind() -> None:
    """No process, no open file, however it ended."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before, of_others = set(Path("/proc/self/fd").iterdir()), children.read_text()
    for data in (clip_bytes(), b"no video", clip_bytes()[:500]):
        look(data)
    probe(Bytes(clip_bytes()), seconds=0.001)
    # Less there may be: what tests before have forgotten is collected at any time.
    assert set(Path("/proc/self/fd").iterdir()) <= before
    assert children.read_text() == of_others


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0), ("RLIMIT_NOFILE", 32), ("RLIMIT_AS", 1 << 30), ("RLIMIT_CPU", 16)],
)
def test_the_child_may_do_little(monkeypatch: pytest.MonkeyPatch, name: str, wanted: int) -> None:
    """The real child's start, and then a look at what is left to it."""
    spy = (
        "import sys, os, json, resource; sys.path.insert(0, sys.argv[1]); from templategen.video import child\n"
        "child.inspect = lambda reader, answer, side, *, whole: answer.add('readable', 'spied', "
        f"resource.getrlimit(resource.{name})[0])\n"
        "child.main(sys.argv[2:])"
    )
    monkeypatch.setattr(probe_module, "_BOOT", spy)
    assert probe(Bytes(clip_bytes())).findings[-1].measured == wanted


def test_the_child_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-secret")
    spy = (
        "import sys, os; sys.path.insert(0, sys.argv[1]); from templategen.video import child\n"
        "child.inspect = lambda reader, answer, side, *, whole: answer.add('readable', 'spied', ' '.join(os.environ))\n"
        "child.main(sys.argv[2:])"
    )
    monkeypatch.setattr(probe_module, "_BOOT", spy)
    seen = probe(Bytes(clip_bytes())).findings[-1].measured
    assert isinstance(seen, str)
    assert "DASHSCOPE" not in seen


def test_memory_is_bounded() -> None:
    spy = (
        "import sys, os; sys.path.insert(0, sys.argv[1]); from templategen.video import child\n"
        "child.inspect = lambda reader, answer, side, *, whole: bytearray(1 << 29)\n"
        "child.main(sys.argv[2:])"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe_module, "_BOOT", spy)
        result = probe(Bytes(clip_bytes()), memory_bytes=1 << 29)
    assert failed(result) == {("readable", "memory")}
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 29


FUZZED: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: clip_bytes(width=200, height=200, audio=True, x264="bframes=2:keyint=20"),
    "avi": lambda: clip_bytes(suffix="avi", width=200, height=200, audio=True),
    "fragments": lambda: clip_bytes(
        width=200, height=200, movflags="frag_keyframe+empty_moov+default_base_moof", x264="keyint=12"
    ),
}


@pytest.mark.parametrize("kind", FUZZED)
def test_hundreds_of_damaged_copies_are_findings_or_clips(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    path.write_bytes(FUZZED[kind]())
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.video.fuzzing", str(path), "7", "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 200, (done.returncode, lines[-1:], done.stderr[-500:])
    assert [line for line in lines if "unexpected" in line] == []
    assert len({line.split(" ", 1)[1] for line in lines}) > 3


def test_damaged_copies_through_the_whole_probe_raise_nothing() -> None:
    dice = random.Random(11)
    for make in FUZZED.values():
        data = make()
        for _ in range(4):
            result = look(damage(data, dice))
            rules = {finding.rule for finding in result.findings}
            assert rules >= set(LIMITS) if result.facts else "size" in rules
