"""Which process makes a paid call, and whether it is still there: one that is gone can send nothing any more.

A process is known by the machine's boot ID, its PID namespace, its number there and the moment it began (proc(5)):
numbers come again, the four together do not. Where they cannot be read nothing is claimed about anybody.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# In /proc/PID/stat, counted after the name in parentheses: state is field 3, starttime field 22.
_STATE, _START = 0, 19


@dataclass(frozen=True)
class _Stat:
    state: str
    start: str


def me() -> str:
    """This process, in a form that ``is_gone`` understands on the same machine; "" where it cannot be told."""
    where, stat = _place(), _stat(os.getpid())
    return f"{where}/{os.getpid()}/{stat.start}" if where and stat else ""


def is_gone(identity: str) -> bool | None:
    """Whether the process has ended for good; None where that cannot be told from here (another machine, no /proc).

    A stopped or frozen process is not gone: it may wake up and go on.
    """
    where, _, rest = identity.rpartition("/")
    where, _, number = where.rpartition("/")
    if not number.isdecimal() or not where or where != _place():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        # It is there, and another user's: what it is /proc may tell.
        pass
    stat = _stat(int(number))
    if stat is None:
        return None
    if stat.start != rest:
        return True
    return stat.state in {"Z", "X"} and _only_its_shell_is_left(int(number))


def _place() -> str:
    """Boot ID and PID namespace; "" unless /proc shows this very namespace."""
    try:
        if (_PROC / "self").readlink().name != str(os.getpid()):
            return ""
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(number: int) -> _Stat | None:
    try:
        fields = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
        return _Stat(fields[_STATE], fields[_START])
    except (OSError, IndexError):
        return None


def _only_its_shell_is_left(number: int) -> bool:
    """Whether a dead main thread has left no other thread behind."""
    try:
        return len(list((_PROC / str(number) / "task").iterdir())) <= 1
    except FileNotFoundError:
        return True
    except OSError:
        return False
