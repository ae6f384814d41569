"""What nobody means to send: texts, numbers, JSON and forms, as Hypothesis makes them."""

from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

TEXTS = [
    "", " ", "\0", "\r\nSet-Cookie: a=b", "a\r\nX: y", "../../etc/passwd", "..\\..\\x", "/etc/passwd", "C:\\x",
    "%2e%2e%2f", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "{% debug %}", "${7*7}",
    "%s%n%(x)s", "=1+1", "+1", "-1", "@SUM(1)", "' OR 1=1 --", "\u202egpj.exe", "\ufeff", "e\u0301" * 60, "🎬" * 300,
    "١٢٣", "１２", "1e999", "NaN", "Infinity", "-0", "9" * 400, "0x10", "1_000", "true", "null", "[]", "\x1b[31m",
    "javascript:alert(1)", "//evil.example", "http://[x", "a" * 10_000, "\ud800".encode("utf-8", "surrogatepass"),
    b"\xff\xfe", b"\xc0\xaf", b"%00", "owner@example.com\n", "x@y", "ß@ß.example", "a@" + "b" * 300 + ".example",
]  # fmt: skip
PARAMETERS = [
    "q", "state", "page", "t", "on", "player", "hold", "quiet", "limit", "cursor", "next", "name", "task_id", "email",
    "role", "code", "password", "username", "old_password", "new_password1", "new_password2", "account_name", "session",
    "size", "offset", "csrfmiddlewaretoken", "o", "p", "_popup", "id",
]  # fmt: skip
HEADERS = [
    "User-Agent", "Referer", "HX-Request", "HX-Trigger", "HX-Current-URL", "HX-Target", "Accept-Language", "Accept",
    "X-Request-ID", "X-Forwarded-For", "X-Forwarded-Proto", "Authorization", "Origin", "If-None-Match", "Range",
]  # fmt: skip

texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=50), st.binary(max_size=20))


def as_bytes(value: str | bytes) -> bytes:
    """As it goes over the line; half characters too."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def urlencoded(pairs: list[tuple[str, str | bytes]]) -> str:
    """A query or a form's body, in which anything may stand."""
    return "&".join(f"{name}={quote_from_bytes(as_bytes(value))}" for name, value in pairs)


forms = st.lists(st.tuples(st.sampled_from(PARAMETERS), texts), max_size=6).map(urlencoded)
# What a header can carry at all: one line of Latin-1.
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
headers = st.dictionaries(
    st.sampled_from(HEADERS),
    st.one_of(st.sampled_from([text for text in TEXTS if isinstance(text, str) and text.isprintable()]), header_values)
    .filter(lambda value: all(ord(letter) < 256 for letter in value)),
    max_size=3,
)  # fmt: skip

numbers = st.one_of(
    st.integers(), st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**300]), st.floats(), st.booleans()
)
json_texts = st.one_of(st.sampled_from([text for text in TEXTS if isinstance(text, str)]), st.text(max_size=50))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | numbers | json_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_texts, inner, max_size=3),
    max_leaves=6,
)
# Half the values fit their field, so that the other half is looked at too.
uploads = st.fixed_dictionaries(
    {},
    optional={
        "file_name": st.just("a.mp4") | json_texts | json_values,
        "size": st.just(1000) | numbers | json_values,
        "fingerprint": st.just("f") | json_texts | json_values,
        "name": json_texts | json_values,
        "numbers": st.lists(numbers, max_size=40) | json_values,
        "more": json_values,
    },
)
# Not even JSON, or more of it than anybody means.
bodies = st.sampled_from(
    [b"", b"{", b"[" * 5000, b'{"a":' * 5000, b"null", b"[]", b'"x"', b"1" * 6000, b'{"size": 1e9999}', b"\xff\xfe",
     b'{"file_name": "\\ud800"}', b'{"size": 1, "size": 2}', b'{"numbers": [' + b"1," * 5000 + b"1]}", b"\0"]
)  # fmt: skip
