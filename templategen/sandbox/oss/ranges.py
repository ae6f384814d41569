"""What a Range header means to OSS.

Two behaviours are documented (help pages "Use HTTP Range requests to get OSS resources in segments", "HTTP status code
416"): by default a range that is malformed, or not wholly inside the object, is ignored and the whole object comes with
200; with the header `x-oss-range-behavior: standard` the end is clamped, and 416 InvalidRange answers a start beyond
the end. Of several ranges only the first counts.
"""

import re

from templategen.sandbox.oss.errors import OssError

_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*(,.*)?")


def choose(header: str, size: int, *, standard: bool) -> tuple[int, int, bool]:
    """Start, length, and whether the answer is partial; raises OssError 416 in the standard behaviour only."""
    whole = (0, size, False)
    match = _RANGE.fullmatch(header.strip())
    if match is None or (not match[1] and not match[2]):
        return whole
    if match[1]:
        start = int(match[1])
        end = int(match[2]) if match[2] else size - 1
        valid = start <= end < size
        possible = start < size and (not match[2] or start <= end)
    else:
        count = int(match[2])
        start, end = max(size - count, 0), size - 1
        valid = 0 < count <= size
        possible = count > 0 and size > 0
    if match[1] and match[2] and int(match[1]) > int(match[2]):
        return whole
    if valid:
        return start, end - start + 1, True
    if not standard:
        return whole
    if not possible:
        raise OssError(
            416,
            "InvalidRange",
            "The requested range cannot be satisfied",
            fields={"ActualObjectSize": str(size), "RangeRequested": header[:100]},
        )
    return start, min(end, size - 1) - start + 1, True
