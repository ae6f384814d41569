"""Which addresses may be called with a key that somebody has typed in: else our server would call anything for them."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

# No user, no query, no fragment, nothing quoted, no IPv6: what is left is read alike by everybody who reads it.
_SHAPE = re.compile(r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?")


def is_allowed(address: str, *, hosts: Iterable[str], like: str) -> bool:
    """Whether the base address is https at one of ``hosts`` (``*.example.com``: any name below it), or at the very
    scheme, host and port of ``like``, the site's own."""
    if not _SHAPE.fullmatch(address) or {".", ".."} & set(address.split("/")):
        return False
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        return False
    own = urlsplit(like)
    if (parts.scheme, parts.netloc.lower()) == (own.scheme, own.netloc.lower()):
        return True
    return parts.scheme == "https" and port in {None, 443} and any(_fits(parts.hostname or "", each) for each in hosts)


def _fits(host: str, pattern: str) -> bool:
    pattern = pattern.strip().lower()
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
