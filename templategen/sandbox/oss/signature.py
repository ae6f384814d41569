"""Checks who signed a request: OSS signature version 4, in the Authorization header or in the URL.

Version 4 (help pages on V4 signatures in the Authorization header and in URLs): a canonical request (method, path with
the bucket, sorted query, sorted headers, additional header names, payload hash) is hashed into a string to sign, whose
HMAC uses a key derived from secret, date, region, product. Anything that differs from what was signed gives another
HMAC.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from templategen.sandbox.http import Request, whole_number
from templategen.sandbox.oss.errors import OssError

ALGORITHM = "OSS4-HMAC-SHA256"
MAX_EXPIRES = 604_800
MAX_SKEW = 900
_DEFAULT_HEADERS = ("content-type", "content-md5")
_PAYLOAD = "UNSIGNED-PAYLOAD"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


@dataclass(frozen=True)
class Signer:
    """The one pair of keys that the sandbox knows, the region it plays, and its clock (seconds since the epoch)."""

    access_key_id: str
    access_key_secret: str
    region: str
    now: Callable[[], float] = time.time


@dataclass(frozen=True)
class _Claim:
    """What a request says about its own signature."""

    credential: str
    signature: str
    date: str
    additional: tuple[str, ...]
    payload: str
    in_url: bool = False


def check_v4(request: Request, resource: str, signer: Signer) -> None:
    """Raises OssError unless the request is signed for `resource` (`/`, `/bucket/` or `/bucket/key`, decoded)."""
    claim = _url_claim(request) if "x-oss-signature-version" in request.params else _header_claim(request)
    moment = _moment(claim.date)
    scope = _check_scope(claim, signer)
    now = signer.now()
    if not claim.in_url and abs(now - moment) > MAX_SKEW:
        raise _skewed(claim.date, now)
    text, canonical = _string_to_sign(request, resource, claim, scope)
    expected = _signature(text, scope, signer.access_key_secret)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise OssError(
            403,
            "SignatureDoesNotMatch",
            MISMATCH,
            fields={
                "OSSAccessKeyId": signer.access_key_id,
                "SignatureProvided": claim.signature,
                "StringToSign": text,
                "CanonicalRequest": canonical,
            },
        )
    if claim.in_url:
        _check_expiry(request.params.get("x-oss-expires", ""), moment, now)


def _url_claim(request: Request) -> _Claim:
    params = request.params
    if params["x-oss-signature-version"] != ALGORITHM:
        raise _invalid("The signature version is not supported.")
    names = [name for name, _ in request.query]
    for name in ("x-oss-credential", "x-oss-date", "x-oss-signature", "x-oss-expires"):
        if names.count(name) != 1:
            raise _invalid(f"Query parameter {name} must be given once.", "0002-00000215")
    if "authorization" in request.headers:
        raise _invalid("Only one auth mechanism is allowed.")
    expires = whole_number(params["x-oss-expires"], 1, MAX_EXPIRES)
    if expires is None:
        raise _invalid(f"Invalid expires: it must be from 1 to {MAX_EXPIRES} seconds.", "0002-00000232")
    additional = tuple(n for n in params.get("x-oss-additional-headers", "").lower().split(";") if n)
    return _Claim(
        params["x-oss-credential"], params["x-oss-signature"], params["x-oss-date"], additional, _PAYLOAD, in_url=True
    )


def _header_claim(request: Request) -> _Claim:
    fields: dict[str, str] = {}
    for piece in request.header("authorization").removeprefix(ALGORITHM).split(","):
        name, _, value = piece.strip().partition("=")
        fields[name.lower()] = value
    if not fields.get("credential") or not fields.get("signature"):
        raise _invalid("Invalid Authorization header.")
    payload = request.header("x-oss-content-sha256")
    if payload != _PAYLOAD:
        raise _invalid("The header x-oss-content-sha256 must be UNSIGNED-PAYLOAD.")
    date = request.header("x-oss-date")
    additional = tuple(n for n in fields.get("additionalheaders", "").lower().split(";") if n)
    return _Claim(fields["credential"], fields["signature"], date, additional, payload)


def _moment(date: str) -> float:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", date):
        raise _invalid("Invalid x-oss-date: it must look like 20261122T083000Z.")
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _invalid("Invalid x-oss-date: no such moment.") from None


def _check_scope(claim: _Claim, signer: Signer) -> str:
    """The scope `date/region/product/request` of the credential; each piece is held against what it should be."""
    key_id, _, scope = claim.credential.partition("/")
    pieces = scope.split("/")
    if len(pieces) != 4:
        raise _invalid("Invalid credential.")
    date, region, product, kind = pieces
    if key_id != signer.access_key_id:
        raise OssError(
            403,
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist in our records.",
            "0002-00000902",
            {"OSSAccessKeyId": key_id[:128]},
        )
    if date != claim.date[:8]:
        raise _invalid("Invalid signing date in Authorization header.")
    if region != signer.region:
        raise _invalid("Invalid signing region in Authorization header.", "0002-00000226")
    if product != "oss":
        raise _invalid("Invalid signing product in Authorization header.", "0002-00000227")
    if kind != "aliyun_v4_request":
        raise _invalid("Invalid signing request in Authorization header.")
    return scope


def _check_expiry(expires: str, moment: float, now: float) -> None:
    if moment > now + MAX_SKEW:
        raise OssError(403, "AccessDenied", "Request is not valid yet.")
    if now > moment + int(expires):
        raise OssError(
            403,
            "AccessDenied",
            "Request has expired.",
            "0002-00000069",
            {"Expires": _iso(moment + int(expires)), "ServerTime": _iso(now)},
        )


def _string_to_sign(request: Request, resource: str, claim: _Claim, scope: str) -> tuple[str, str]:
    """The string to sign and the canonical request that it holds the hash of."""
    canonical = "\n".join(
        (
            request.method,
            quote(resource, safe="/~"),
            _canonical_query(request.query),
            _canonical_headers(request, claim.additional),
            ";".join(sorted(claim.additional)),
            claim.payload,
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return "\n".join((ALGORITHM, claim.date, scope, digest)), canonical


def _canonical_query(query: Iterable[tuple[str, str]]) -> str:
    encoded = sorted((quote(n, safe="~"), quote(v, safe="~")) for n, v in query if n != "x-oss-signature")
    return "&".join(f"{name}={value}" if value else name for name, value in encoded)


def _canonical_headers(request: Request, additional: tuple[str, ...]) -> str:
    lines = [
        f"{name}:{_as_sent(value)}\n"
        for name, value in request.headers.items()
        if name.startswith("x-oss-") or name in _DEFAULT_HEADERS or name in additional
    ]
    return "".join(sorted(lines, key=lambda line: line.partition(":")[0]))


def _as_sent(value: str) -> str:
    """The library decodes headers as Latin-1; clients sign the UTF-8 text they meant."""
    return value.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _signature(text: str, scope: str, secret: str) -> str:
    key = b"aliyun_v4" + secret.encode()
    for piece in scope.split("/"):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _skewed(date: str, now: float) -> OssError:
    return OssError(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        "0002-00000504",
        {"MaxAllowedSkewMilliseconds": str(MAX_SKEW * 1000), "RequestTime": date, "ServerTime": _iso(now)},
    )


def _invalid(message: str, ec: str = "") -> OssError:
    return OssError(400, "InvalidArgument", message, ec)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
