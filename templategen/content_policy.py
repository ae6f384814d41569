"""Which addresses a page of ours may load from and send to: the Content-Security-Policy.

Read while settings are made. Nothing on any page is inline, neither script nor style, so no nonce is needed and none is
given: a page that breaks this shows it at once (tests/browser/test_doors.py).
"""

from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF


def bucket_origin(endpoint: str, bucket: str) -> str:
    """Scheme and host of the bucket's signed URLs: ``https://bucket.oss-….aliyuncs.com``, own domain, or the sandbox.

    As oss2 makes them: an IP address or localhost takes the bucket's name into the path, an own domain is the bucket.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if not host.endswith(".aliyuncs.com"):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}://{bucket}.{parts.netloc}"


def policy(*, bucket: str, https: bool) -> dict[str, Any]:
    """The directives. ``bucket``: the origin that clips and posters come from, and go to."""
    return {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # data: is the first frame that the check before an upload answers with; a picture can do nothing.
        "img-src": [SELF, "data:", bucket],
        "media-src": [SELF, bucket],
        "connect-src": [SELF, bucket],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "upgrade-insecure-requests": https and bucket.startswith("https://"),
    }


# What no page here uses is off, for us and for whoever might get in; what is used is for this site alone. Only names
# that browsers know: any other is a warning in the console of each page.
_OFF = (
    "accelerometer", "browsing-topics", "camera",
    "display-capture", "geolocation", "gyroscope", "hid", "identity-credentials-get", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "otp-credentials", "payment", "screen-wake-lock", "serial",
    "storage-access", "usb", "window-management", "xr-spatial-tracking",
)  # fmt: skip
_OURS = ("autoplay", "clipboard-write", "fullscreen", "picture-in-picture")
PERMISSIONS = ", ".join([f"{name}=()" for name in _OFF] + [f"{name}=(self)" for name in _OURS])
