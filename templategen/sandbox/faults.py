"""Faults on demand: what to do wrong, where, how often."""

import dataclasses
import itertools
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

PLACES = frozenset(
    [
        "api",
        "submit",
        "get",
        "list",
        "cancel",
        "task",
        "oss",
        "oss-put",
        "oss-part",
        "oss-get",
        "oss-head",
        "oss-complete",
    ]
)
KINDS = frozenset(["refuse", "slow", "answer_late", "lose_answer", "make_later", "status", "fail", "forget", "drop"])
_TASK_KINDS = frozenset({"fail", "forget", "slow"})


class BadFaultError(ValueError):
    """A fault that makes no sense; the text says why."""


@dataclass(frozen=True)
class Fault:
    """One fault. `times` None: until it is removed. `match`: a piece of the address, body or task ID; empty: any.

    `probability`: the share of calls that it happens to, of those that it could happen to.
    """

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
    probability: float = 1.0
    retry_after: int | None = None


_TYPES: Mapping[str, tuple[type, ...]] = {
    "times": (int, type(None)),
    "status": (int,),
    "code": (str,),
    "message": (str,),
    "seconds": (int, float),
    "after_bytes": (int, type(None)),
    "match": (str,),
    "probability": (int, float),
    "retry_after": (int, type(None)),
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
    if kind == "make_later" and where != "submit":
        raise BadFaultError("only a submit can make_later")
    options = {name: value for name, value in fields.items() if name not in ("where", "kind")}
    for name, value in options.items():
        _check_type(name, value)
    fault = Fault(number, where, kind, **options)  # type: ignore[arg-type]
    _check_bounds(fault)
    return fault


def _check_type(name: str, value: object) -> None:
    if name not in _TYPES:
        raise BadFaultError(f"unknown field {name}; known: where, kind, {', '.join(_TYPES)}")
    if isinstance(value, bool) or not isinstance(value, _TYPES[name]):
        raise BadFaultError(f"{name} has the wrong type")
    if isinstance(value, str) and value and not value.isprintable():
        raise BadFaultError(f"{name} holds characters that cannot be sent")


def _check_bounds(fault: Fault) -> None:
    if (fault.times is not None and fault.times < 1) or not 400 <= fault.status <= 599:
        raise BadFaultError("times must be 1 or more (or null), status from 400 to 599")
    if not 0 <= fault.seconds <= 600 or (fault.after_bytes or 0) < 0:
        raise BadFaultError("seconds must be from 0 to 600, after_bytes 0 or more")
    if not 0 < fault.probability <= 1 or (fault.retry_after or 0) < 0:
        raise BadFaultError("probability must be above 0 and at most 1, retry_after 0 or more")


class Faults:
    """The faults that wait to happen, oldest first.

    Each has dice of its own, which follow from the seed: what the others do does not change how they fall.
    """

    def __init__(self, seed: str | None = None, on_change: Callable[[], None] = lambda: None) -> None:
        self._seed = seed
        self._on_change = on_change
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._dice: dict[int, random.Random] = {}
        self._numbers = itertools.count(1)

    def add(self, fields: Mapping[str, object]) -> Fault:
        """Add one from its JSON; raises BadFaultError."""
        with self._lock:
            fault = parse(next(self._numbers), fields)
            self._dice[fault.number] = random.Random(self._seed and f"{self._seed}/{fault.number}")  # noqa: S311
            self._waiting.append(fault)
        self._on_change()
        return fault

    def clear(self) -> int:
        """Remove all; how many there were."""
        with self._lock:
            count = len(self._waiting)
            self._waiting.clear()
            self._dice.clear()
        self._on_change()
        return count

    def waiting(self) -> list[dict[str, object]]:
        """All of them, as JSON."""
        with self._lock:
            return [dataclasses.asdict(fault) for fault in self._waiting]

    def take(self, places: Iterable[str], subject: Callable[[], str], kinds: Iterable[str] = KINDS) -> Fault | None:
        """The oldest fault for one of these places whose `match` is in the subject, counted as used once.

        The subject is only asked for when a fault needs it: reading it may mean reading a body.
        """
        if not self._waiting:
            return None
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
        """Whether it happens now: it still waits, and its dice say so."""
        with self._lock:
            index = next((i for i, waiting in enumerate(self._waiting) if waiting.number == fault.number), None)
            if index is None or self._dice[fault.number].random() >= fault.probability:
                return False
            times = self._waiting[index].times
            if times == 1:
                del self._waiting[index]
            elif times is not None:
                self._waiting[index] = dataclasses.replace(self._waiting[index], times=times - 1)
        if times is not None:
            self._on_change()
        return True
