"""CRC-64/XZ (ECMA-182), which OSS sends as `x-oss-hash-crc64ecma`.

Computed only with crcmod's compiled extension: the pure Python version would be slower than the network, and OSS
clients take a missing header for "not checked".
"""

from functools import lru_cache
from importlib import import_module

# Not "import crcmod.crcmod": the package binds that name to itself.
_crcmod = import_module("crcmod.crcmod")

_POLYNOMIAL = 0x142F0E1EBA9EA3693
_ONES = 0xFFFFFFFFFFFFFFFF
AVAILABLE: bool = bool(_crcmod._usingExtension)  # noqa: SLF001  (the only way to know)
_table_crc = _crcmod.mkCrcFun(_POLYNOMIAL, initCrc=0, xorOut=_ONES, rev=True)
_REVERSED = 0xC96C5795D7870F42


def update(crc: int, data: memoryview | bytes) -> int:
    """The CRC of what `crc` stands for, followed by `data`; start with 0."""
    result: int = _table_crc(data, crc)
    return result


def combine(first: int, second: int, second_length: int) -> int:
    """The CRC of two pieces put together, from the CRC of each and the length of the second in bytes.

    Appending n zero bytes to a message is a linear map on its CRC, so that map is squared bit by bit of n.
    """
    if second_length == 0:
        return first
    return _times(_zero_bytes(second_length), first) ^ second


@lru_cache(maxsize=16)
def _zero_bytes(count: int) -> list[int]:
    """The map that `count` zero bytes apply to a CRC (kept: the parts of an upload mostly have one length)."""
    matrix = [_REVERSED] + [1 << bit for bit in range(63)]  # one zero bit
    power = _square(_square(_square(matrix)))  # one zero byte
    result = [1 << bit for bit in range(64)]
    while count:
        if count & 1:
            result = [_times(power, row) for row in result]
        power = _square(power)
        count >>= 1
    return result


def _times(matrix: list[int], vector: int) -> int:
    total = 0
    index = 0
    while vector:
        if vector & 1:
            total ^= matrix[index]
        vector >>= 1
        index += 1
    return total


def _square(matrix: list[int]) -> list[int]:
    return [_times(matrix, row) for row in matrix]
