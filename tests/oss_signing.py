"""Signs requests for OSS (version 4) in the tests' own words, so that anything in them can be wrong on purpose."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from tests.sandbox import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION


def stamp(offset: float = 0.0) -> str:
    """Now, or so many seconds from now, as a signature writes it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + offset))


def query_string(params: Mapping[str, str]) -> str:
    """Sorted and encoded; a parameter without a value stands alone."""
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in params.items())
    return "&".join(f"{name}={value}" if value else name for name, value in pairs)


def signature(
    method: str,
    key: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    date: str,
    scope: str,
    additional: str = "",
) -> str:
    """The signature of a request for `key` in the sandbox's bucket."""
    lines = "".join(f"{name.lower()}:{value}\n" for name, value in sorted(headers.items()))
    path = quote(f"/{BUCKET}/{key}", safe="/")
    canonical = "\n".join((method, path, query_string(params), lines, additional, "UNSIGNED-PAYLOAD"))
    text = "\n".join(("OSS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    secret = ("aliyun_v4" + ACCESS_KEY_SECRET).encode()
    for piece in scope.split("/"):
        secret = hmac.new(secret, piece.encode(), hashlib.sha256).digest()
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def scope_of(date: str, region: str = REGION, product: str = "oss") -> str:
    """The scope of a credential."""
    return f"{date[:8]}/{region}/{product}/aliyun_v4_request"


def signed_path(
    method: str,
    key: str,
    params: Mapping[str, str] | None = None,
    *,
    expires: str = "600",
    offset: float = 0.0,
    scope: str | None = None,
    key_id: str = ACCESS_KEY_ID,
    headers: Mapping[str, str] | None = None,
    additional: str = "",
) -> str:
    """Path and query of a presigned address."""
    date = stamp(offset)
    scope = scope if scope is not None else scope_of(date)
    every = {
        **(params or {}),
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"{key_id}/{scope}",
        "x-oss-date": date,
        "x-oss-expires": expires,
    }
    if additional:
        every["x-oss-additional-headers"] = additional
    proof = signature(method, key, every, headers or {}, date, scope, additional)
    return f"/{BUCKET}/{quote(key)}?{query_string(every)}&x-oss-signature={proof}"


def signed_headers(
    method: str, key: str, params: Mapping[str, str] | None = None, *, offset: float = 0.0, **headers: str
) -> dict[str, str]:
    """Headers that sign a request; further ones by name, with underscores for hyphens."""
    date = stamp(offset)
    scope = scope_of(date)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    every = {"x-oss-date": date, "x-oss-content-sha256": "UNSIGNED-PAYLOAD", **named}
    proof = signature(method, key, params or {}, every, date, scope)
    every["Authorization"] = f"OSS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{scope}, Signature={proof}"
    return every
