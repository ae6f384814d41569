"""The only place where a stranger's bytes are opened: a process of its own with little time, memory and no files.

Started by `probe`; speaks over one socket (file descriptor 0). Up: `R<offset> <length>` asks for bytes,
`S<offset> <length>` for some of them, `D<json> <picture>` gives the answer's two lengths and then the answer, `B` says
that the child itself is broken. Down: a length (four bytes, little endian) and as many bytes.
"""

import json
import sys
from typing import Any

from templategen.video import boxes, chunks, fragments, picture, sniff
from templategen.video.reader import Reader, write_all
from templategen.video.reject import Reject

PIPE = 0
MOST_FRAMES = 1_000_000
LIE_S = 0.5
LIE_SHARE = 0.05
"""A header may differ from the sample table by half a second or a twentieth: muxers round, and count audio's tail."""
MOST_EMPTY_SLOTS = 2
EMPTY_SHARE = 0.01
_OPTIONS = {
    # One packet is enough: everything else comes from the index. No decoder runs before the sizes are known.
    "probesize": "32",
    "analyzeduration": "1",
    "fpsprobesize": "0",
    # Containers give whole frames; a parser, or the guess of a missing time, would read on into the next one.
    "fflags": "+noparse+nofillin-genpts",
    "codec_whitelist": "none",
    "protocol_whitelist": "none",
    "max_streams": str(boxes.MOST_STREAMS),
}


class Answer:
    """What goes back: facts, findings, the first frame."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] | None = None
        self.findings: list[dict[str, Any]] = []
        self.picture = b""

    def add(self, rule: str, code: str, measured: float | str | None = None, **limit: float | str) -> None:
        """One finding that is a failure."""
        found = {"rule": rule, "verdict": "fail", "measured": measured, "limit": limit or None, "code": code}
        self.findings.append(found)


def limit_resources(seconds: float, memory_bytes: int) -> None:
    """No more time, memory or files than a probe needs. What a system does not know is left out."""
    import resource  # noqa: PLC0415 -- not on every system, and only the child needs it

    whole = int(seconds) + 1
    wanted = (
        ("RLIMIT_CPU", whole, whole + 1),
        ("RLIMIT_AS", memory_bytes, memory_bytes),
        ("RLIMIT_FSIZE", 0, 0),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_NOFILE", 32, 32),
    )
    for name, soft, hard in wanted:
        try:
            resource.setrlimit(getattr(resource, name), (soft, hard))
        except (AttributeError, ValueError, OSError):
            continue


def main(arguments: list[str]) -> None:
    """`arguments`: size, seconds, memory in bytes, longest side of the picture, 1 where every fragment may be read."""
    size, seconds, memory_bytes, side, whole = arguments
    limit_resources(float(seconds), int(memory_bytes))
    answer = Answer()
    try:
        inspect(Reader(PIPE, int(size)), answer, int(side), whole=whole == "1")
    except Reject as reject:
        answer.add(reject.rule, reject.code, reject.measured)
    except MemoryError:
        answer.add("readable", "memory")
    except ImportError:
        write_all(PIPE, b"B\n")
        return
    except Exception as error:  # noqa: BLE001 -- this process exists to be broken by files; the name helps to mend it
        answer.add("readable", "crashed", _name(error))
    text = json.dumps({"facts": answer.facts, "findings": answer.findings}).encode()
    write_all(PIPE, b"D%d %d\n" % (len(text), len(answer.picture)) + text + answer.picture)


def inspect(reader: Reader, answer: Answer, side: int, *, whole: bool) -> None:
    """Fill `answer`. Reject where the file cannot be judged any further."""
    kind = sniff.sniff(reader.at(0, sniff.HEAD))
    if kind in sniff.VIDEO_CONTAINERS:
        raise Reject("container", "not_allowed", kind)
    if kind == "avi":
        inspect_avi(reader, answer, side)
    elif kind in {"mp4", "mov"}:
        inspect_movie(reader, answer, kind, side, whole=whole)
    else:
        raise Reject("readable", "not_video", kind)


def open_media(reader: Reader, form: str, flags: str = "") -> Any:
    """FFmpeg's view, through the one demuxer named. Reject where it refuses."""
    import av  # noqa: PLC0415 -- slow to load, and only once the resource limits stand

    options = _OPTIONS | {"fflags": _OPTIONS["fflags"] + flags}
    try:
        return av.open(reader, "r", format=form, options=options, metadata_errors="ignore", buffer_size=16384)
    except (av.error.FFmpegError, ValueError) as error:
        raise Reject("readable", "unreadable", _name(error)) from error


def _name(error: Exception) -> str:
    return type(error).__name__


def pick_video(container: Any) -> Any:
    """The first stream that is a moving picture; cover pictures do not count. Reject where there is none."""
    import av  # noqa: PLC0415

    attached = av.stream.Disposition.attached_pic
    moving = [stream for stream in container.streams.video if not stream.disposition & attached]
    if moving:
        return moving[0], len(moving)
    raise Reject("video_stream", "audio_only" if container.streams.audio else "no_video")


def _codec(stream: Any) -> str:
    """FFmpeg's name of the format, not of the decoder: "mp3", not "mp3float"."""
    context = stream.codec_context
    return str(context.codec.canonical_name) if context is not None else "unknown"


def describe(container: Any, stream: Any, count: int, reader: Reader, kind: str) -> dict[str, Any]:
    """The facts that need no timing."""
    context = stream.codec_context
    audio = container.streams.audio
    aspect = stream.sample_aspect_ratio
    return {
        "container": kind,
        "codec": _codec(stream),
        "size_bytes": reader.size,
        "width": context.width if context is not None else 0,
        "height": context.height if context is not None else 0,
        "rotation": 0,
        "container_duration_s": None,
        "has_audio": bool(audio),
        "audio_codec": _codec(audio[0]) if audio else None,
        "video_streams": count,
        "streams": len(container.streams),
        "pixel_format": None,
        "sample_aspect": f"{aspect.numerator}:{aspect.denominator}" if aspect else None,
        "fragmented": False,
    }


def show(container: Any, stream: Any, reader: Reader, answer: Answer, side: int) -> None:
    """The first frame, where decoding it is safe; its real sides and format go into the facts."""
    import av  # noqa: PLC0415

    facts = answer.facts
    if facts is None or facts["codec"] not in {"h264", "hevc", "mpeg4"}:
        return
    if facts["width"] * facts["height"] > picture.MOST_PIXELS:
        return
    try:
        frame = picture.first_frame(container, stream, reader)
        if frame is None:
            return
        answer.picture = picture.webp(frame, facts["rotation"], side)
    except (av.error.FFmpegError, ValueError) as error:
        answer.add("readable", "no_frame", _name(error))
        return
    except Reject as reject:
        answer.add(reject.rule, reject.code, reject.measured)
        return
    facts["width"], facts["height"] = frame.width, frame.height
    facts["pixel_format"] = frame.format.name


def finish(answer: Answer) -> None:
    """Sides as shown."""
    facts = answer.facts
    if facts is not None and facts["rotation"] in {90, 270}:
        facts["width"], facts["height"] = facts["height"], facts["width"]


def timing(frames: int, duration_s: float, *, even: bool) -> dict[str, Any]:
    """Frames and seconds, and what they come to."""
    fps = frames / duration_s if duration_s > 0 else 0.0
    return {"frames": frames, "duration_s": duration_s, "fps": fps, "variable_fps": not even}


def contradicts(claimed_s: float, real_s: float) -> bool:
    """More than rounding and an audio track's tail explain."""
    return abs(claimed_s - real_s) > max(LIE_S, real_s * LIE_SHARE)


def check_claim(answer: Answer, claimed_s: float | None, real_s: float | None) -> None:
    """A header that contradicts the sample table is a finding."""
    if claimed_s is not None and real_s is not None and contradicts(claimed_s, real_s):
        answer.add("readable", "header_lies", round(claimed_s, 3), real=round(real_s, 3), unit="s")


def check_end(container: Any, reader: Reader, answer: Answer, *, cut: bool = False) -> None:
    """Every sample that the index names lies inside the file, and nothing else says that the file is cut."""
    last = 0
    for stream in container.streams:
        if len(stream.index_entries) > MOST_FRAMES:
            raise Reject("readable", "too_big", len(stream.index_entries))
        for entry in stream.index_entries:
            last = max(last, entry.pos + entry.size)
    if cut or last > reader.size:
        answer.add("readable", "truncated", reader.size, **({"needed": last} if last > reader.size else {}))


def inspect_avi(reader: Reader, answer: Answer, side: int) -> None:
    """An AVI file, by its index."""
    header = chunks.read_avi(reader)
    if not header.video_streams:
        raise Reject("video_stream", "audio_only" if header.audio_streams else "no_video")
    container = open_media(reader, "avi")
    stream, count = pick_video(container)
    check_end(container, reader, answer, cut=header.cut)
    stamps = [entry.timestamp for entry in stream.index_entries]
    second = header.scale / header.rate if header.rate else 0.0
    slots = max(stamps) - min(stamps) + 1 if stamps else 0
    # An AVI frame lasts one slot; a slot without a frame repeats the one before. A few such come from muxers that
    # wait for the first frame, and make no slow clip.
    regular = slots - len(stamps) <= max(MOST_EMPTY_SLOTS, slots * EMPTY_SHARE)
    facts = describe(container, stream, count, reader, "avi")
    answer.facts = facts | timing(len(stamps), slots * second, even=regular)
    if regular and second:
        answer.facts["fps"] = 1 / second
    claimed_s = header.frames * second
    answer.facts["claimed_duration_s"] = claimed_s or None
    if container.duration and not contradicts(claimed_s, slots * second):
        answer.facts["container_duration_s"] = container.duration / 1_000_000
    check_claim(answer, answer.facts["claimed_duration_s"], slots * second)
    show(container, stream, reader, answer, side)
    finish(answer)


def inspect_movie(reader: Reader, answer: Answer, kind: str, side: int, *, whole: bool) -> None:
    """An MP4 or MOV file, by its index or by its fragments."""
    where = boxes.layout(reader)
    moov = reader.prefetch(where.moov.offset, where.moov.end - where.moov.offset)
    movie = boxes.parse_movie(moov)
    handlers = {track.handler for track in movie.tracks}
    if b"vide" not in handlers:
        raise Reject("video_stream", "audio_only" if b"soun" in handlers else "no_video")
    fragmented = where.first_moof is not None
    first = next(track.first for track in movie.tracks if track.handler == b"vide")
    picture.fetch_sample(reader, *first)
    # FFmpeg would visit every fragment to build its index; the first is enough for what is asked of it here.
    container = open_media(reader, "mov", flags="+ignidx" if fragmented else "")
    stream, count = pick_video(container)
    track = next((track for track in movie.tracks if track.track_id == stream.id), None)
    if track is None:
        raise Reject("readable", "unreadable", "track")
    answer.facts = describe(container, stream, count, reader, kind) | {"rotation": track.rotation}
    answer.facts["claimed_duration_s"] = movie.claimed_s
    if where.first_moof is not None:
        length = fragments.measure(reader, moov, track, where.sidx, where.first_moof, whole=whole)
        answer.facts |= {
            "frames": length.frames, "duration_s": length.duration_s, "fps": length.fps,
            "variable_fps": not length.even, "fragmented": True,
        }  # fmt: skip
        if length.cut:
            answer.add("readable", "truncated", reader.size)
    else:
        # A last box that is too long does no harm by itself: the samples decide.
        check_end(container, reader, answer)
        answer.facts |= shown(stream, track)
        answer.facts["container_duration_s"] = max(each.span_s for each in movie.tracks)
        check_claims(answer, movie, track)
    show(container, stream, reader, answer, side)
    finish(answer)


def shown(stream: Any, track: boxes.Track) -> dict[str, Any]:
    """Frames and seconds of what the edit list leaves of the sample table."""
    stamps = [entry.timestamp for entry in stream.index_entries if not entry.is_discard]
    if not stamps or not track.timescale:
        return timing(len(stamps), 0.0, even=True)
    seconds = (max(stamps) - min(stamps) + track.last_delta) / track.timescale
    if len(stamps) < track.samples and not contradicts(track.shown_s, seconds):
        # The index is in decoding order, so its span is off by a few frames where an edit cuts it; the edit is exact.
        seconds = track.shown_s
    return timing(len(stamps), seconds, even=track.even)


def check_claims(answer: Answer, movie: boxes.Movie, track: boxes.Track) -> None:
    """The three places where a movie says how long it is, each against the samples."""
    real = answer.facts["duration_s"] if answer.facts else None
    for claimed_s, real_s in (
        (track.claimed_s, track.table_s),
        (track.shown_s, real),
        (movie.claimed_s, max((each.span_s for each in movie.tracks), default=None)),
    ):
        before = len(answer.findings)
        check_claim(answer, claimed_s, real_s)
        if len(answer.findings) > before:
            return


if __name__ == "__main__":
    main(sys.argv[1:])
