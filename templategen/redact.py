"""Takes keys and signatures out of texts before anybody sees them: log lines, the admin's pages.

A signed URL is a key for as long as it lives, and it stands in the texts of other people's exceptions. Names of the
parts: OSS, "Include a V4 signature in a URL" (``x-oss-…``) and "… V1" (``OSSAccessKeyId``, ``Signature``). Knows no
Django, so that it works while settings are still being read.
"""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "[hidden]"
# Shorter ones would blacken ordinary words.
SHORTEST_SECRET = 8

# Possessive, so that what was hidden once is not hidden again.
# "=" as it is, percent-encoded once or twice, or as in a dict or a header that was printed.
_IS = r"(?:=|%3D|%253D|['\"]?\s*[:=]\s*+['\"]?+)"
_NAMES = (
    r"x-oss-signature(?!-version)|x-oss-credential|x-oss-security-token|OSSAccessKeyId|security-token|Signature|"
    r"api[_-]?key|access[_-]?key[_-]?(?:id|secret)|csrfmiddlewaretoken|csrftoken|sessionid|password"
)
# Up to where a value ends in an URL, in one encoded into another, in JSON and in a dict.
_VALUE = r"(?:(?!%26|%2526|\\u0026)[^\s&'\"<>(){}\[\],;])+"
_NAMED = re.compile(rf"(?i)((?:{_NAMES}){_IS})(?!\[hidden\]){_VALUE}")
# The whole rest of the header: "Bearer …", "OSS id:signature", "OSS4-HMAC-SHA256 Credential=…,Signature=…".
_HEADER = re.compile(
    r"(?i)(?<![\w-])((?:proxy-)?authorization['\"]?\s*[:=,]\s*+(?:b(?=['\"]))?+['\"]?+)(?!\[hidden\])[^\r\n'\"}]+"
)
_BEARER = re.compile(r"(?i)(?<![\w-])(bearer\s++)(?!\[hidden\])[\w.~+/=-]{6,}")
# DashScope's, and our own API's.
_KEY = re.compile(r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{6,}|tg_[A-Za-z0-9_-]{20,})")
# Addresses of ours that let somebody in or set a password: the last part is a key.
_LINK = re.compile(r"(/(?:(?:sign-in|password-reset)/[^/\s]+|invitation|sign-up/link)/)[^/\s'\"?#]+")
_IN_ADDRESS = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)")
# One of these stands in every text that has something to hide.
_SUSPECT = re.compile(
    r"(?i)signature|oss|token|auth|bearer|key|sk-|tg_|sign-in|sign-up|invitation|password|://|session"
)


def redact(text: str, *, secrets: Iterable[str] = ()) -> str:
    """The text without keys, signatures, tokens and passwords, and without the very values in ``secrets``."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET and secret in text:
            text = text.replace(secret, HIDDEN)
    if not _SUSPECT.search(text):
        return text
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _IN_ADDRESS.sub(rf"\1:{HIDDEN}", text)
    text = _LINK.sub(rf"\1{HIDDEN}", text)
    return _KEY.sub(HIDDEN, text)


def redact_within(value: object, *, secrets: Iterable[str] = (), depth: int = 6) -> object:
    """The same for every text inside a JSON-like value; what is not JSON becomes its text.

    Under a name such as ``Authorization`` the value goes as a whole, whatever it looks like.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, Mapping):
        return {
            str(name): HIDDEN if _names_a_secret(str(name)) else redact_within(item, secrets=secrets, depth=depth - 1)
            for name, item in value.items()
        }
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [redact_within(item, secrets=secrets, depth=depth - 1) for item in value]
    return redact(str(value), secrets=secrets)


def _names_a_secret(name: str) -> bool:
    return re.fullmatch(rf"(?i)(?:proxy-)?authorization|cookie|set-cookie|{_NAMES}", name) is not None
