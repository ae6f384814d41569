"""What the check before an upload costs: bytes sent, round trips, server seconds, for four clips of about 190 MB.

Run: python tests/benchmark/precheck.py
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from templategen.video.precheck import EDGE_BYTES, Need, precheck

TARGET_BYTES = 190_000_000
WIDTH, HEIGHT, FPS, SECONDS = 1080, 1920, 24, 59
MOST_TRIPS = 20


def make_piece(path: Path) -> None:
    """One second: one group of pictures, noisy enough for the wanted bit rate, with sound."""
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "qp": "46", "x264-params": f"keyint={FPS}:scenecut=0"}
        video: Any = out.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound: Any = out.add_stream("aac", rate=48000)
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for number in range(FPS):
            out.mux(video.encode(_noise(picture, number)))
        out.mux(video.encode())
        for start in range(0, 45 * 1024, 1024):
            frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts = 48000, start
            out.mux(sound.encode(frame))
        out.mux(sound.encode())


def _noise(frame: av.VideoFrame, number: int) -> av.VideoFrame:
    """Noise everywhere first, then a sixth of it anew in each frame: key frames about six times as big as others."""
    for plane in frame.planes:
        band = plane.buffer_size // 6 if number else plane.buffer_size
        start = number * band % (plane.buffer_size - band + 1)
        data = bytearray(plane)
        data[start : start + band] = os.urandom(band)
        plane.update(data)
    frame.pts = number
    return frame


def repeat(piece: Path, path: Path, **options: str) -> None:
    """The piece over and over in one file, without encoding again."""
    with av.open(str(piece)) as source, av.open(str(path), "w", options=options) as out:
        packets = list(_packets(source, annex_b=path.suffix == ".avi"))
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        streams[0].time_base = Fraction(1, FPS)  # an AVI keeps one slot a frame; MP4 and MOV choose their own
        weight = sum(packet.size for _, packet in packets)
        for turn in range(max(1, min(SECONDS, TARGET_BYTES // weight))):
            for index, packet in packets:
                shift = int(Fraction(turn) / packet.time_base)
                again = av.Packet(bytes(packet))
                again.time_base, again.is_keyframe = packet.time_base, packet.is_keyframe
                again.pts, again.dts = packet.pts + shift, packet.dts + shift
                again.stream = streams[index]
                out.mux(again)


def _packets(source: Any, *, annex_b: bool) -> Iterator[tuple[int, Any]]:
    """What the piece holds, each with its stream's index. AVI wants H.264 with start codes rather than lengths."""
    video = source.streams.video[0]
    convert = BitStreamFilterContext("h264_mp4toannexb", in_stream=video) if annex_b else None
    for packet in source.demux():
        if packet.dts is None or not packet.size:
            continue
        parts = convert.filter(packet) if convert and packet.stream is video else [packet]
        for part in parts:
            yield packet.stream.index, part


def play(path: Path) -> tuple[int, int, float, bool]:
    """The browser's part: start and end first, then whatever is asked for; every request carries all slices."""
    size = path.stat().st_size
    with path.open("rb") as file:

        def read(start: int, end: int) -> tuple[int, bytes]:
            file.seek(start)
            return start, file.read(end - start)

        slices = [read(0, min(EDGE_BYTES, size)), read(max(0, size - EDGE_BYTES), size)]
        sent, seconds = 0, 0.0
        for trip in range(1, MOST_TRIPS + 1):
            sent += sum(len(data) for _, data in slices)
            before = time.perf_counter()
            answer = precheck(size, slices)
            seconds += time.perf_counter() - before
            if not isinstance(answer, Need):
                good = answer.ok and answer.first_frame is not None
                return sent, trip, seconds, good
            slices.append(read(answer.start, answer.end))
    raise SystemExit(f"{path.name}: no answer after {MOST_TRIPS} round trips")


def main() -> int:
    """Print the figures; exit status 1 where a clip was refused."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        piece = Path(folder) / "piece.mp4"
        make_piece(piece)
        for name, suffix, options in (
            ("mp4_front", ".mp4", {"movflags": "+faststart"}),
            ("mp4_end", ".mp4", {}),
            ("mov", ".mov", {}),
            ("avi", ".avi", {}),
        ):
            path = Path(folder) / f"{name}{suffix}"
            repeat(piece, path, **options)
            sent, trips, seconds, good = play(path)
            print(f"{name}_file_bytes={path.stat().st_size}")
            print(f"{name}_bytes={sent}")
            print(f"{name}_trips={trips}")
            print(f"{name}_seconds={seconds:.3f}")
            if not good:
                failed = 1
                print(f"{name}: refused", file=sys.stderr)
            path.unlink()
    return failed


if __name__ == "__main__":
    sys.exit(main())
