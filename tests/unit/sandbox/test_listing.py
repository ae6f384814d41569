"""ListObjectsV2 against a plain reading of what a listing is."""

import base64
import re
from pathlib import Path
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from templategen.sandbox.database import Database
from templategen.sandbox.http import Body, Request
from templategen.sandbox.oss.blobs import BlobStore
from templategen.sandbox.oss.objects import Objects, StoredObject


class Nothing:
    """A body of no bytes."""

    def readinto(self, view: memoryview, /) -> int:
        """The end."""
        return 0


def listed(objects: Objects, prefix: str, delimiter: str, limit: int) -> list[str]:
    """All keys and common prefixes, page by page, each page within its limit."""
    found: list[str] = []
    token = ""
    for _ in range(100):
        params = {"prefix": prefix, "delimiter": delimiter, "max-keys": str(limit), "continuation-token": token}
        answer = objects.list(Request("GET", "/b/", urlencode(params), {}, Body(Nothing(), 0)), "b").body.decode()
        page = re.findall(r"<Contents><Key>(.*?)</Key>", answer)
        page += re.findall(r"<CommonPrefixes><Prefix>(.*?)</Prefix>", answer)
        assert len(page) <= limit
        assert f"<KeyCount>{len(page)}</KeyCount>" in answer
        found += page
        if "<IsTruncated>false</IsTruncated>" in answer:
            return found
        token = re.findall("<NextContinuationToken>(.*?)</NextContinuationToken>", answer)[0]
        assert base64.urlsafe_b64decode(token)
    raise AssertionError("the listing does not end")


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.text("ab/ü", min_size=1, max_size=5), max_size=12),
    st.text("ab/ü", max_size=2),
    st.sampled_from(["", "/", "b"]),
    st.integers(1, 5),
)
def test_every_key_is_listed_once_or_stands_behind_its_common_prefix(
    keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    database = Database(Path(":memory:"))
    objects = Objects(database, Unused())
    for key in keys:
        objects.store(StoredObject("b", key, 1, "E", None, "Normal", 0.0, {}, ()))
        objects.store(StoredObject("other", key, 1, "E", None, "Normal", 0.0, {}, ()))
    expected = set()
    for key in keys:
        if key.startswith(prefix):
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key[len(prefix) :], "", "")
            expected.add(prefix + head + cut)
    assert sorted(listed(objects, prefix, delimiter, limit)) == sorted(expected)


class Unused(BlobStore):
    """No bytes are read or written here."""

    def __init__(self) -> None:
        """Without a folder."""
