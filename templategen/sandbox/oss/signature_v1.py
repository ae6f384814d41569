"""The old OSS signature, version 1, which new buckets refuse (notice on the discontinuation of the V1 algorithm).

HMAC-SHA1 over method, MD5, type, date, `x-oss-` headers and the resource with those query parameters that count as part
of it.
"""

import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime

from templategen.sandbox.http import Request
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.signature import MAX_SKEW, MISMATCH, Signer

_SUBRESOURCES = frozenset(
    [
        "acl",
        "append",
        "bucketInfo",
        "callback",
        "callback-var",
        "cname",
        "continuation-token",
        "cors",
        "delete",
        "encryption",
        "endTime",
        "lifecycle",
        "location",
        "logging",
        "objectMeta",
        "partNumber",
        "policy",
        "position",
        "qos",
        "referer",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "security-token",
        "sequential",
        "startTime",
        "stat",
        "status",
        "style",
        "styleName",
        "symlink",
        "tagging",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
        "worm",
        "x-oss-process",
        "x-oss-async-process",
        "x-oss-traffic-limit",
        "x-oss-request-payer",
    ]
)


def is_v1(request: Request) -> bool:
    """Whether the request carries a version 1 signature, in its header or in its URL."""
    return request.header("authorization").startswith("OSS ") or "OSSAccessKeyId" in request.params


def check_v1(request: Request, resource: str, signer: Signer, *, allowed: bool) -> None:
    """Raises OssError unless version 1 is allowed and the signature is right for `resource`."""
    if not allowed:
        raise OssError(
            403,
            "AccessDenied",
            "The signature version 1 is not allowed for this bucket; use signature version 4.",
            "0002-00000080",
        )
    if "OSSAccessKeyId" in request.params:
        key_id = request.params["OSSAccessKeyId"]
        given = request.params.get("Signature", "")
        date = request.params.get("Expires", "")
        _check_expires(date, signer.now())
    else:
        key_id, _, given = request.header("authorization").removeprefix("OSS ").partition(":")
        date = request.header("date")
        _check_date(request.header("x-oss-date") or date, signer.now())
    if key_id != signer.access_key_id:
        raise OssError(
            403,
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist in our records.",
            "0002-00000902",
        )
    text = _string_to_sign(request, resource, date)
    expected = base64.b64encode(hmac.new(signer.access_key_secret.encode(), text.encode(), hashlib.sha1).digest())
    if not hmac.compare_digest(expected, given.encode("utf-8", "replace")):
        raise OssError(
            403,
            "SignatureDoesNotMatch",
            MISMATCH,
            "0002-00000040",
            {"OSSAccessKeyId": key_id, "SignatureProvided": given, "StringToSign": text},
        )


def _string_to_sign(request: Request, resource: str, date: str) -> str:
    headers = sorted((name, value) for name, value in request.headers.items() if name.startswith("x-oss-"))
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    subresources = sorted((name, value) for name, value in request.query if name in _SUBRESOURCES)
    query = "&".join(f"{name}={value}" if value else name for name, value in subresources)
    md5, kind = request.header("content-md5"), request.header("content-type")
    return "\n".join((request.method, md5, kind, date, lines + resource + (f"?{query}" if query else "")))


def _check_expires(expires: str, now: float) -> None:
    if not expires.isascii() or not expires.isdigit() or len(expires) > 15:
        raise OssError(403, "AccessDenied", "Invalid date (should be seconds since epoch).", "0002-00000070")
    if now > int(expires):
        raise OssError(403, "AccessDenied", "Request has expired.", "0002-00000069")


def _check_date(date: str, now: float) -> None:
    try:
        moment = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        raise OssError(403, "AccessDenied", "OSS authentication requires a valid Date.") from None
    if abs(now - moment) > MAX_SKEW:
        raise OssError(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "0002-00000504",
        )
