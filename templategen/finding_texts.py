"""Findings in words: what was measured, what the limit is, what happened, and what to do.

All numbers come from the finding and from the one table (video/limits.py); nothing is written a second time here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from templategen.video.facts import Finding
from templategen.video.limits import LIMITS, Limit

_LABELS: dict[str, Promise] = {
    "container": gettext_lazy("Format"),
    "codec": gettext_lazy("Encoding"),
    "size": gettext_lazy("File size"),
    "width": gettext_lazy("Width"),
    "height": gettext_lazy("Height"),
    "fps": gettext_lazy("Frame rate"),
    "duration": gettext_lazy("Length"),
    "ratio": gettext_lazy("Aspect ratio"),
    "readable": gettext_lazy("Readable"),
    "video_stream": gettext_lazy("Picture"),
}
_KINDS: dict[str, Promise] = {
    "html": gettext_lazy("a web page"),
    "xml": gettext_lazy("an XML file"),
    "text": gettext_lazy("a text"),
    "zeros": gettext_lazy("nothing but zeros, as a download that never finished"),
    "unknown": gettext_lazy("nothing known"),
    "zip": gettext_lazy("a ZIP archive"),
    "gzip": gettext_lazy("a compressed archive"),
    "png": gettext_lazy("a PNG picture"),
    "jpeg": gettext_lazy("a JPEG picture"),
    "gif": gettext_lazy("a GIF animation"),
    "webp": gettext_lazy("a WebP picture"),
    "heif": gettext_lazy("a HEIF picture"),
    "avif": gettext_lazy("an AVIF picture"),
    "pdf": gettext_lazy("a PDF document"),
    "mp3": gettext_lazy("an MP3 sound"),
    "m4a": gettext_lazy("an M4A sound"),
    "wav": gettext_lazy("a WAV sound"),
    "m3u8": gettext_lazy("a playlist, which holds no video itself"),
    "h264_raw": gettext_lazy("bare H.264 without a container"),
    "hevc_raw": gettext_lazy("bare H.265 without a container"),
}
_CONTAINERS = {"matroska": "Matroska (MKV)", "webm": "WebM", "mpegts": "MPEG-TS", "asf": "WMV/ASF", "rm": "RealMedia"}
_CODECS = {"h264": "H.264", "hevc": "H.265", "mpeg4": "MPEG-4", "vp8": "VP8", "vp9": "VP9", "av1": "AV1"}


@dataclass(frozen=True)
class FindingText:
    """One finding for people. ``what`` and ``fix`` are empty where it passed."""

    rule: str
    verdict: str
    label: str
    measured: str
    limit: str
    what: str
    fix: str


def describe(finding: Finding) -> FindingText:
    """The words for one finding, in the reader's language. Unknown rules and codes get general words."""
    failed = finding.verdict != "pass"
    return FindingText(
        rule=finding.rule,
        verdict=finding.verdict,
        label=str(_LABELS.get(finding.rule, finding.rule)),
        measured=_measured(finding),
        limit=_limit_words(finding.rule),
        what=_what(finding) if failed else "",
        fix=_fix(finding) if failed else "",
    )


def rules_in_words() -> list[str]:
    """Every documented limit as a line of its own, for the page."""
    return [
        _("%(label)s: %(limit)s") % {"label": _LABELS[rule], "limit": _limit_words(rule)}
        for rule in ("container", "codec", "size", "duration", "fps", "width", "height", "ratio")
    ]


def limit_in_words(rule: str) -> str:
    """One documented limit alone, to stand inside a sentence; empty where the rule has none."""
    return _limit_words(rule)


def limits_sentence() -> str:
    """All limits in one sentence, for the place where a file is chosen."""
    return _(
        "%(containers)s with %(codecs)s, %(duration)s, at least %(fps)s frames a second, each side %(side)s, "
        "below %(size)s"
    ) % {
        "containers": _alternatives(LIMITS["container"]),
        "codecs": _alternatives(LIMITS["codec"]),
        "duration": _limit_words("duration"),
        "fps": _number(LIMITS["fps"].minimum or 0),
        "side": _limit_words("width"),
        "size": _megabytes(LIMITS["size"].maximum or 0),
    }


# --- Values --------------------------------------------------------------------------------------------------------


def _number(value: float, places: int = 2) -> str:
    rounded = round(value, places)
    return str(number_format(int(rounded) if rounded == int(rounded) else rounded, use_l10n=True))


def _megabytes(value: float) -> str:
    return _("%(number)s MB") % {"number": _number(value / 1_000_000, 3)}


def _seconds(value: float) -> str:
    return _("%(number)s s") % {"number": _number(value, 3)}


def _pixels(value: float) -> str:
    return _("%(number)s px") % {"number": _number(value, 0)}


def frame_rate(value: float) -> str:
    """Frames a second, as the findings say it."""
    return _fps(value)


def _fps(value: float) -> str:
    return _("%(number)s fps") % {"number": _number(value, 3)}


def _ratio(value: float) -> str:
    """Height to width, as people write it: the longer side over 1."""
    if value <= 0:
        return _("unknown")
    return f"1:{_number(value)}" if value >= 1 else f"{_number(1 / value)}:1"


_VALUES: dict[str, Callable[[float], str]] = {
    "size": _megabytes,
    "width": _pixels,
    "height": _pixels,
    "fps": _fps,
    "duration": _seconds,
    "ratio": _ratio,
}


def _measured(finding: Finding) -> str:
    value = finding.measured
    if value is None:
        return _("unknown") if finding.verdict == "warn" else ""
    if finding.rule == "readable":
        return _measured_readable(finding.code, value)
    if isinstance(value, str):
        return _CONTAINERS.get(value, value.upper()) if finding.rule == "container" else _CODECS.get(value, value)
    return _VALUES.get(finding.rule, _number)(value)


def _measured_readable(code: str, value: float | str) -> str:
    """Numbers with their unit; of the names only those that mean something to people."""
    if isinstance(value, str):
        return str(_KINDS.get(value, value)) if code == "not_video" else ""
    if code == "truncated":
        return _megabytes(value)
    return _seconds(value) if code == "header_lies" else _number(value)


def _alternatives(limit: Limit) -> str:
    names = [_CODECS.get(name, name.upper()) for name in limit.allowed]
    return _("%(some)s or %(last)s") % {
        "some": pgettext("between items of a list", ", ").join(names[:-1]),
        "last": names[-1],
    }


def _limit_words(rule: str) -> str:
    limit = LIMITS.get(rule)
    if limit is None:
        return ""
    if limit.allowed:
        return _alternatives(limit)
    show = _VALUES[rule]
    if rule == "ratio":
        return _("%(low)s to %(high)s (width:height)") % {
            "low": show(limit.maximum or 0),
            "high": show(limit.minimum or 0),
        }
    if limit.below:
        return _("below %(most)s") % {"most": show(limit.maximum or 0)}
    if limit.maximum is None:
        return _("at least %(least)s") % {"least": show(limit.minimum or 0)}
    return _("%(least)s to %(most)s") % {"least": _number(limit.minimum or 0), "most": show(limit.maximum)}


# --- What happened, and what to do ---------------------------------------------------------------------------------

_READABLE: dict[str, tuple[Promise, Promise]] = {
    "empty": (gettext_lazy("The file is empty."), gettext_lazy("Choose the file again, or export it anew.")),
    "not_video": (
        gettext_lazy("This is not a video: it looks like %(measured)s."),
        gettext_lazy("Choose an MP4, MOV or AVI file."),
    ),
    "truncated": (
        gettext_lazy("The file ends too early: a part of the video is missing."),
        gettext_lazy("Copy or download it again, completely; or export it anew."),
    ),
    "header_lies": (
        gettext_lazy("The file's header says %(measured)s, its frames make %(real)s."),
        gettext_lazy("Have the header written anew: ffmpeg -i IN -c copy OUT.mp4"),
    ),
    "no_index": (
        gettext_lazy("The file has no index of its frames: the recording was probably not finished."),
        gettext_lazy("Repair or export it anew, for instance to MP4 (H.264)."),
    ),
    "no_frame": (
        gettext_lazy("The first frame cannot be decoded."),
        gettext_lazy("Export the video anew to MP4 (H.264)."),
    ),
    "too_big": (
        gettext_lazy("The file's inner structure is far larger than that of any clip."),
        gettext_lazy("Export the video anew to MP4 (H.264)."),
    ),
    "too_many_streams": (
        gettext_lazy("The file holds an absurd number of streams."),
        gettext_lazy("Export the video anew with one picture and at most one sound."),
    ),
    "timeout": (
        gettext_lazy("Reading the file took too long."),
        gettext_lazy("Export the video anew to MP4 (H.264)."),
    ),
}
_READABLE_OTHER = (
    gettext_lazy("The file cannot be opened as a video."),
    gettext_lazy("It may be damaged. Export the video anew to MP4 (H.264)."),
)
_STREAM = {
    "audio_only": (
        gettext_lazy("The file holds sound only."),
        gettext_lazy("Choose a file with a moving picture."),
    ),
}
_STREAM_OTHER = (gettext_lazy("The file holds no moving picture."), gettext_lazy("Choose a video file."))


def _words(finding: Finding) -> tuple[Promise, Promise] | None:
    if finding.rule == "readable":
        return _READABLE.get(finding.code, _READABLE_OTHER)
    if finding.rule == "video_stream":
        return _STREAM.get(finding.code, _STREAM_OTHER)
    return None


def _what(finding: Finding) -> str:
    words = _words(finding)
    measured = _measured(finding)
    if words is not None:
        real = (finding.limit or {}).get("real")
        return str(words[0]) % {"measured": measured, "real": _seconds(real) if isinstance(real, float | int) else ""}
    if finding.code == "sound_longer":
        return _("The picture has the right length, but with the sound the file lasts %(measured)s.") % {
            "measured": measured
        }
    if finding.verdict == "warn":
        return _("It could not be measured from the part read so far; it is checked after the upload.")
    return _("%(label)s is %(measured)s; allowed: %(limit)s.") % {
        "label": _LABELS.get(finding.rule, finding.rule),
        "measured": measured,
        "limit": _limit_words(finding.rule),
    }


def _fix(finding: Finding) -> str:
    words = _words(finding)
    if words is not None:
        return str(words[1])
    if finding.code == "unknown":
        return ""
    limit = LIMITS.get(finding.rule)
    text = _FIXES.get((finding.rule, finding.code)) or _FIXES.get((finding.rule, ""))
    if limit is None or text is None:
        return ""
    if limit.allowed:
        return str(text) % {"allowed": _alternatives(LIMITS["codec"])}
    value = (limit.minimum if finding.code == "too_low" else limit.maximum) or 0
    # `bound` is for people; `number` stands in commands, where no language may change it.
    ratio = _number(limit.maximum or 0)
    return str(text) % {"bound": _VALUES[finding.rule](value), "number": f"{value:g}", "ratio": ratio}


_FIXES: dict[tuple[str, str], Promise] = {
    ("container", ""): gettext_lazy(
        "Save it as MP4: ffmpeg -i IN -c copy OUT.mp4 — or, where it is not %(allowed)s inside: "
        "ffmpeg -i IN -c:v libx264 -crf 18 -pix_fmt yuv420p OUT.mp4"
    ),
    ("codec", ""): gettext_lazy("Encode it with H.264: ffmpeg -i IN -c:v libx264 -crf 18 -pix_fmt yuv420p OUT.mp4"),
    ("size", "too_low"): gettext_lazy("Choose the file again, or export it anew."),
    ("size", ""): gettext_lazy(
        "Shorten or compress it to less than %(bound)s: ffmpeg -i IN -c:v libx264 -crf 23 OUT.mp4"
    ),
    ("width", "too_low"): gettext_lazy(
        "Scale it up to at least %(bound)s: ffmpeg -i IN -vf scale=%(number)s:-2 OUT.mp4 — better, film it larger."
    ),
    ("width", ""): gettext_lazy("Scale it down to at most %(bound)s: ffmpeg -i IN -vf scale=%(number)s:-2 OUT.mp4"),
    ("height", "too_low"): gettext_lazy(
        "Scale it up to at least %(bound)s: ffmpeg -i IN -vf scale=-2:%(number)s OUT.mp4 — better, film it larger."
    ),
    ("height", ""): gettext_lazy("Scale it down to at most %(bound)s: ffmpeg -i IN -vf scale=-2:%(number)s OUT.mp4"),
    ("fps", ""): gettext_lazy(
        "Film or export it with at least %(bound)s. Slow footage cannot be mended by doubling its frames: "
        "the movement between them was never recorded."
    ),
    ("duration", "too_low"): gettext_lazy("Use a longer piece: at least %(bound)s."),
    ("duration", "sound_longer"): gettext_lazy(
        "Should it be refused, end the sound with the picture: ffmpeg -i IN -c copy -t %(number)s OUT.mp4"
    ),
    ("duration", ""): gettext_lazy(
        "Trim it to at most %(bound)s: ffmpeg -i IN -t %(number)s -c:v libx264 -crf 18 OUT.mp4"
    ),
    ("ratio", ""): gettext_lazy("Crop it so that no side is more than %(ratio)s times the other."),
}
