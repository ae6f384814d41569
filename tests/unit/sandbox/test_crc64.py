"""The checksum of OSS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templategen.sandbox.oss import crc64

pytestmark = pytest.mark.skipif(not crc64.AVAILABLE, reason="crcmod has no compiled extension here")


def test_the_published_check_value() -> None:
    assert crc64.update(0, b"123456789") == 0x995DC9BBDF1939FA


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_checksum_of_two_pieces_follows_from_theirs(first: bytes, second: bytes) -> None:
    whole = crc64.update(0, first + second)
    assert crc64.combine(crc64.update(0, first), crc64.update(0, second), len(second)) == whole
    assert crc64.update(crc64.update(0, first), second) == whole
