"""The pre-check's protocol: slices in, an answer or a wish for more out. Stateless; the web page is its other end."""

from collections.abc import Iterable
from dataclasses import dataclass

from templategen.video.probe import Probe, probe
from templategen.video.source import NeedBytes, SparseSource

EDGE_BYTES = 256 * 1024
"""The first request sends this much of the file's start and of its end: indexes live at either."""


@dataclass(frozen=True)
class Need:
    """Send these bytes too: `start` up to, not including, `end`. All slices come with each request."""

    start: int
    end: int


def precheck(size: int, slices: Iterable[tuple[int, bytes]]) -> Probe | Need:
    """Probe a file of `size` bytes by the `slices` (offset, bytes) known of it. ValueError where one does not fit."""
    try:
        return probe(SparseSource(size, slices))
    except NeedBytes as need:
        return Need(need.start, need.end)
