"""CRC-64/XZ (ECMA-182), which OSS sends as `x-oss-hash-crc64ecma`.

Computed only with crcmod's compiled extension: the pure Python version would be slower than the network, and OSS clients
take a missing header for "not checked".
"""

import crcmod.crcmod

_POLYNOMIAL = 0x142F0E1EBA9EA3693
_ONES = 0xFFFFFFFFFFFFFFFF
AVAILABLE: bool = bool(crcmod.crcmod._usingExtension)
_table_crc = crcmod.crcmod.mkCrcFun(_POLYNOMIAL, initCrc=0, xorOut=_ONES, rev=True)
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
    matrix = [_REVERSED] + [1 << bit for bit in range(63)]  # one zero bit
    matrix = _square(_square(matrix))  # four zero bits
    while second_length:
        matrix = _square(matrix)
        if second_length & 1:
            first = _times(matrix, first)
        second_length >>= 1
    return first ^ second


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
