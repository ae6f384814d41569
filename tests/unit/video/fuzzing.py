"""Run as a program: many damaged copies of one file through the child's own code, in one process, for speed.

Arguments: file, seed, number of copies. Prints one line a copy: what came out.
"""

import random
import sys
import warnings
from pathlib import Path

from templategen.video import child
from templategen.video.reader import Reader
from templategen.video.reject import Reject

MOST_READ = 64 << 20


class Memory(Reader):
    """Bytes at hand rather than behind a pipe."""

    def __init__(self, data: bytes) -> None:
        super().__init__(-1, len(data))
        self._data = data
        self._read = 0

    def _ask(self, kind: bytes, offset: int, length: int) -> bytes:
        self._read += length
        if self._read > MOST_READ:
            raise Reject("readable", "too_big")
        return self._data[offset : offset + length]


def damage(data: bytes, dice: random.Random) -> bytes:
    """Flip some bytes, mostly where the structure is; sometimes cut, double or blank a piece."""
    copy = bytearray(data)
    structure = data.find(b"moov")
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        inside = structure > 0 and dice.random() < 0.8
        copy[dice.randrange(structure if inside else 0, len(copy))] = dice.choice(
            (0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256))
        )
    kind = dice.randrange(10)
    start = dice.randrange(len(copy))
    stop = min(len(copy), start + dice.randrange(1, 400))
    if kind == 0:
        del copy[start:]
    elif kind == 1:
        del copy[start:stop]
    elif kind == 2:
        copy[start:start] = copy[start:stop]
    elif kind == 3:
        copy[start:stop] = bytes(stop - start)
    return bytes(copy)


def outcome(data: bytes) -> str:
    """What the child would send back, in short."""
    answer = child.Answer()
    try:
        child.inspect(Memory(data), answer, 64, whole=True)
    except Reject as reject:
        return f"{reject.rule} {reject.code}"
    return "facts " + " ".join(sorted({finding["code"] for finding in answer.findings}))


def main() -> None:
    path, seed, count = sys.argv[1:]
    child.limit_resources(60, 2 << 30)
    warnings.simplefilter("ignore")
    data = Path(path).read_bytes()
    dice = random.Random(int(seed))
    for number in range(int(count)):
        copy = damage(data, dice)
        try:
            print(number, outcome(copy), flush=True)
        except Exception as error:  # noqa: BLE001 -- that there is none is what is tested
            print(number, "unexpected", type(error).__name__, error, flush=True)


if __name__ == "__main__":
    main()
