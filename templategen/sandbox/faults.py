"""Faults on demand: what to do wrong, where, how often."""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

PLACES = frozenset(
    ["submit", "get", "list", "cancel", "task", "oss", "oss-put", "oss-part", "oss-get", "oss-head", "oss-complete"]
)
KINDS = frozenset(["refuse", "slow", "lose_answer", "status", "fail", "forget", "drop"])
_TASK_KINDS = frozenset({"fail", "forget", "slow"})


class BadFaultError(ValueError):
    """A fault that makes no sense; the text says why."""


@dataclass(frozen=True)
class Fault:
    """One fault. `times` None: until it is removed. `match`: a piece of the address, body or task ID; empty: any."""

    number: int
    where: str
    kind: str
    times: int | None = 1
    status: int = 500
    code: str = ""
    message: str = ""
    seconds: float = 5.0
    after_bytes: int | None = None
    match: str = ""


_TYPES: Mapping[str, tuple[type, ...]] = {
    "times": (int, type(None)),
    "status": (int,),
    "code": (str,),
    "message": (str,),
    "seconds": (int, float),
    "after_bytes": (int, type(None)),
    "match": (str,),
}


def parse(number: int, fields: Mapping[str, object]) -> Fault:
    """A fault from its JSON; raises BadFaultError."""
    where, kind = fields.get("where"), fields.get("kind")
    if not isinstance(where, str) or where not in PLACES:
        raise BadFaultError(f"where must be one of {', '.join(sorted(PLACES))}")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadFaultError(f"kind must be one of {', '.join(sorted(KINDS))}")
    if (where == "task" and kind not in _TASK_KINDS) or (where != "task" and kind in ("fail", "forget")):
        raise BadFaultError(f"{kind} makes no sense for {where}; a task can fail, forget, slow")
    options = {name: value for name, value in fields.items() if name not in ("where", "kind")}
    for name, value in options.items():
        if name not in _TYPES:
            raise BadFaultError(f"unknown field {name}; known: where, kind, {', '.join(_TYPES)}")
        if isinstance(value, bool) or not isinstance(value, _TYPES[name]):
            raise BadFaultError(f"{name} has the wrong type")
        if isinstance(value, str) and value and not value.isprintable():
            raise BadFaultError(f"{name} holds characters that cannot be sent")
    fault = Fault(number, where, kind, **options)  # type: ignore[arg-type]
    if (fault.times is not None and fault.times < 1) or not 400 <= fault.status <= 599:
        raise BadFaultError("times must be 1 or more (or null), status from 400 to 599")
    if not 0 <= fault.seconds <= 600 or (fault.after_bytes or 0) < 0:
        raise BadFaultError("seconds must be from 0 to 600, after_bytes 0 or more")
    return fault


class Faults:
    """The faults that wait to happen, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, fields: Mapping[str, object]) -> Fault:
        """Add one from its JSON; raises BadFaultError."""
        fault = parse(next(self._numbers), fields)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> int:
        """Remove all; how many there were."""
        with self._lock:
            count = len(self._waiting)
            self._waiting.clear()
            return count

    def waiting(self) -> list[dict[str, object]]:
        """All of them, as JSON."""
        with self._lock:
            return [dataclasses.asdict(fault) for fault in self._waiting]

    def take(self, places: Iterable[str], subject: Callable[[], str], kinds: Iterable[str] = KINDS) -> Fault | None:
        """The oldest fault for one of these places whose `match` is in the subject, counted as used once.

        The subject is only asked for when a fault needs it: reading it may mean reading a body.
        """
        wanted_places, wanted_kinds = frozenset(places), frozenset(kinds)
        with self._lock:
            candidates = [f for f in self._waiting if f.where in wanted_places and f.kind in wanted_kinds]
        for fault in candidates:
            if fault.match and fault.match not in subject():
                continue
            if self._use(fault):
                return fault
        return None

    def _use(self, fault: Fault) -> bool:
        with self._lock:
            for index, waiting in enumerate(self._waiting):
                if waiting.number == fault.number:
                    if waiting.times == 1:
                        del self._waiting[index]
                    elif waiting.times is not None:
                        self._waiting[index] = dataclasses.replace(waiting, times=waiting.times - 1)
                    return True
        return False
