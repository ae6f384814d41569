"""The first frame of a clip, upright, as WebP. Runs inside the probe's child."""

from fractions import Fraction
from typing import Any

from templategen.video.reader import Reader
from templategen.video.reject import Reject

MOST_PIXELS = 4096 * 4096
"""Frames larger than this are never decoded: a few bytes can ask for gigabytes."""
MOST_PACKET_BYTES = 8 << 20
MOST_PACKETS = 300
QUALITY = 80
_ANY_CLOCK = Fraction(1, 25)
_TURN = {90: "transpose=clock", 180: "transpose=clock,transpose=clock", 270: "transpose=cclock"}


def first_frame(container: Any, stream: Any, reader: Reader) -> Any:
    """The first frame shown, decoded; None where it lies further in than is worth reading. Reject where there is none.

    Frames in front of an edit list's start are decoded and dropped, as a player does (the decoder drops them itself).
    """
    from av.stream import Discard  # noqa: PLC0415 -- only once the resource limits stand

    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    context = stream.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(MOST_PIXELS)}
    if len(stream.index_entries):
        entry = stream.index_entries[0]
        fetch_sample(reader, entry.pos, entry.size)
    spent = 0
    for count, packet in enumerate(container.demux(stream)):
        spent += packet.size
        if spent > MOST_PACKET_BYTES or count > MOST_PACKETS:
            return None
        whole = packet.is_keyframe and not packet.is_discard
        frames = _decoded(context, packet, whole=whole)
        if frames:
            return frames[0]
        if whole:
            break
    raise Reject("readable", "no_frame")


def _decoded(context: Any, packet: Any, *, whole: bool) -> list[Any]:
    """What comes out at this packet. One that is `whole` needs no other, so the decoder must give back what it holds.

    A clip cut carelessly begins with frames that lean on others: they give nothing, and the next key frame counts.
    """
    from av.error import InvalidDataError  # noqa: PLC0415 -- only once the resource limits stand

    try:
        frames = context.decode(packet)
    except InvalidDataError:
        if whole:
            raise
        return []
    return frames or (context.decode(None) if whole else [])


def fetch_sample(reader: Reader, offset: int, size: int) -> None:
    """One sample in one piece, rather than as FFmpeg's buffer goes."""
    if 0 < offset < reader.size and 0 < size <= MOST_PACKET_BYTES:
        # AVI's index points at the chunk's header of 8 bytes, which is not counted in the size.
        reader.prefetch(offset, size + 16)


def webp(frame: Any, rotation: int, longest_side: int) -> bytes:
    """`frame` turned clockwise by `rotation` degrees and made to fit, as WebP."""
    from av.codec import CodecContext  # noqa: PLC0415 -- only once the resource limits stand

    scale = min(1.0, longest_side / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    small = _turned(frame.reformat(width=width, height=height, format="yuv420p"), rotation)
    encoder: Any = CodecContext.create("libwebp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = small.width, small.height, "yuv420p"
    encoder.time_base = _ANY_CLOCK
    encoder.options = {"quality": str(QUALITY)}
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])


def _turned(frame: Any, rotation: int) -> Any:
    if rotation not in _TURN:
        return frame
    from av.filter import Graph  # noqa: PLC0415 -- only where a clip is rotated

    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format.name, time_base=_ANY_CLOCK)
    last = source
    for step in _TURN[rotation].split(","):
        name, argument = step.split("=")
        turn = graph.add(name, argument)
        last.link_to(turn)
        last = turn
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return graph.pull()
