"""Short ways to probe bytes and to read what came out."""

from templategen.video.precheck import EDGE_BYTES, Need, precheck
from templategen.video.probe import Probe, probe
from templategen.video.source import ObjectSource


class Bytes:
    """A source in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def look(data: bytes) -> Probe:
    """Probe these bytes."""
    return probe(Bytes(data))


def failed(result: Probe) -> set[tuple[str, str]]:
    """(rule, code) of every failure."""
    return {(finding.rule, finding.code) for finding in result.findings if finding.verdict == "fail"}


def warned(result: Probe) -> set[tuple[str, str]]:
    """(rule, code) of every warning."""
    return {(finding.rule, finding.code) for finding in result.findings if finding.verdict == "warn"}


def as_object(data: bytes) -> ObjectSource:
    """An object read by ranges."""
    return ObjectSource(len(data), lambda start, end: data[start:end])


def by_slices(data: bytes, *, most_trips: int = 6) -> tuple[Probe, int, int]:
    """What the page does: start and end, then what is asked for, all slices each time. Result, trips, bytes sent."""
    size = len(data)
    slices = [(0, data[:EDGE_BYTES]), (max(0, size - EDGE_BYTES), data[-EDGE_BYTES:])]
    sent = 0
    for trip in range(1, most_trips + 1):
        sent += sum(len(part) for _, part in slices)
        answer = precheck(size, slices)
        if not isinstance(answer, Need):
            return answer, trip, sent
        slices.append((answer.start, data[answer.start : answer.end]))
    raise AssertionError(f"no answer after {most_trips} round trips")
