"""The ONE table of documented limits, and the judge that holds a clip's facts against it.

Source of the numbers: the template generation API page, "Input limits" and its table of error codes (October 2025).
"""

from dataclasses import dataclass

from templategen.video.facts import Facts, Finding, LimitValue, Measured

PAGE = "animate-anyone-template-api, Input limits"
ERRORS = "animate-anyone-template-api, error codes"

FPS_TOLERANCE = 0.01
"""Frames per second that rounding may take away: a 2 s clip at 24 fps in whole milliseconds measures down to 23.994;
24000/1001 = 23.976 stays below and fails."""

RATIO_TOLERANCE = 1e-6
DURATION_TOLERANCE_S = 0.0005
"""Half a millisecond: what writing seconds with three decimals loses."""


@dataclass(frozen=True)
class Limit:
    """One rule. `minimum` and `maximum` are themselves allowed, unless `below` (then the maximum is refused)."""

    rule: str
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    allowed: tuple[str, ...] = ()
    below: bool = False
    tolerance: float = 0.0
    source: str = PAGE

    def to_dict(self) -> LimitValue:
        """What a Finding carries: only what this rule has."""
        if self.allowed:
            return {"allowed": list(self.allowed)}
        value: LimitValue = {"unit": self.unit}
        if self.minimum is not None:
            value["min"] = self.minimum
        if self.maximum is not None:
            value["max"] = self.maximum
        if self.below:
            value["below"] = True
        return value


_TABLE = (
    Limit("container", allowed=("mp4", "avi", "mov")),
    Limit("codec", allowed=("h264", "hevc")),
    # "Less than 200 MB", with neither 10^6 nor 2^20 said: strictly below 200,000,000 bytes satisfies every reading.
    Limit("size", minimum=1, maximum=200_000_000, unit="bytes", below=True),
    Limit("width", minimum=200, maximum=2048, unit="px"),
    Limit("height", minimum=200, maximum=2048, unit="px"),
    Limit("fps", minimum=24, unit="fps", tolerance=FPS_TOLERANCE),
    Limit("duration", minimum=2, maximum=60, unit="s", tolerance=DURATION_TOLERANCE_S),
    # Height divided by width: the error text of InvalidFile.AspectRatio says so.
    Limit("ratio", minimum=1 / 3, maximum=3, unit="h/w", tolerance=RATIO_TOLERANCE, source=ERRORS),
)
LIMITS: dict[str, Limit] = {limit.rule: limit for limit in _TABLE}


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Every rule's verdict, in the table's order, whether it passes or not."""
    ratio = facts.height / facts.width if facts.width else 0.0
    measured: dict[str, Measured] = {
        "container": facts.container,
        "codec": facts.codec,
        "size": facts.size_bytes,
        "width": facts.width,
        "height": facts.height,
        "fps": _rounded(facts.fps),
        "duration": _rounded(facts.duration_s),
        "ratio": round(ratio, 6),
    }
    return tuple(_sound_too(_verdict(LIMITS[rule], value), facts) for rule, value in measured.items())


def judge_size(size_bytes: int) -> Finding:
    """The one rule that needs no byte of the clip."""
    return _verdict(LIMITS["size"], size_bytes)


def _sound_too(finding: Finding, facts: Facts) -> Finding:
    """Whether the service measures the picture or the whole file is not documented: a longer sound is worth a word."""
    whole = _rounded(facts.container_duration_s)
    if finding.rule != "duration" or finding.verdict != "pass" or whole is None:
        return finding
    if _out_of_range(LIMITS["duration"], whole) != "too_high":
        return finding
    return Finding("duration", "warn", whole, finding.limit, "sound_longer")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _verdict(limit: Limit, value: Measured) -> Finding:
    if value is None:
        # Not a failure: the bytes sent so far cannot tell, and the check of the whole object will.
        return Finding(limit.rule, "warn", None, limit.to_dict(), "unknown")
    code = _not_allowed(limit, value) if isinstance(value, str) else _out_of_range(limit, value)
    return Finding(limit.rule, "fail" if code else "pass", value, limit.to_dict(), code or "ok")


def _not_allowed(limit: Limit, value: str) -> str:
    return "" if value in limit.allowed else "not_allowed"


def _out_of_range(limit: Limit, value: float) -> str:
    if limit.minimum is not None and value < limit.minimum - limit.tolerance:
        return "too_low"
    if limit.maximum is None:
        return ""
    if value > limit.maximum + limit.tolerance or (limit.below and value == limit.maximum):
        return "too_high"
    return ""
