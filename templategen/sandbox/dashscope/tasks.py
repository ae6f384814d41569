"""The table of tasks: what was submitted, how far it is, what came out.

All of it is held in memory, by ID and in an index, and every change is written through to SQLite: a look at a task or
at the list touches no disk, and a kill -9 forgets nothing.
"""

import dataclasses
import hashlib
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from templategen.sandbox.dashscope.index import ANY, Index, Place, window_of
from templategen.sandbox.database import Database, Value

COMING = "COMING"
"""Taken, but not made yet: nobody but the control page sees it (fault `make_later`)."""


@dataclass(frozen=True, slots=True)
class Task:
    """A row of the tasks table; times are seconds since the epoch, `duration` is the clip's length in seconds.

    `run_seconds` is the task's own run time, None for the one in the settings.
    """

    seq: int
    task_id: str
    account: str
    api_key_id: str
    request_id: str
    model: str
    video_url: str
    status: str
    submitted: float
    scheduled: float | None = None
    ended: float | None = None
    checked: int = 0
    code: str | None = None
    message: str | None = None
    duration: float | None = None
    template_id: str | None = None
    forgotten: int = 0
    run_seconds: float | None = None

    @property
    def place(self) -> Place:
        """Where it stands in the order of submission."""
        return self.submitted, self.seq

    @property
    def listed(self) -> bool:
        """Whether the service knows it."""
        return not self.forgotten and self.status != COMING


_NAMES = tuple(field.name for field in dataclasses.fields(Task))
_FIELDS = ", ".join(_NAMES)
_INSERT = f"INSERT INTO tasks ({_FIELDS}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608  (fixed texts)


@dataclass(frozen=True)
class Outcome:
    """What download and check found: a duration in seconds, or a documented code and message."""

    duration: float | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Search:
    """What a list call asks for: submitted between two moments, not ended before a third.

    `filters` may name task_id, model_name, status, api_key_id.
    """

    account: str
    since: float
    until: float
    kept_since: float
    filters: Mapping[str, str]


@dataclass(frozen=True)
class Submission:
    """What a new task is made of. `status` and the times are for tasks that control makes ready-made."""

    account: str
    api_key_id: str
    request_id: str
    model: str
    video_url: str
    submitted: float
    status: str = "PENDING"
    scheduled: float | None = None
    ended: float | None = None
    duration: float | None = None
    run_seconds: float | None = None


class Tasks:
    """All tasks of all accounts. With a seed, IDs follow from the seed and the task's number instead of from chance."""

    def __init__(self, database: Database, seed: str | None) -> None:
        self._database = database
        self._seed = seed
        self._lock = threading.RLock()
        self._tasks: dict[int, Task] = {}
        self._by_id: dict[str, Task] = {}
        self._index = Index()
        self._ends: list[tuple[str, float]] = []
        for row in database.rows(f"SELECT {_FIELDS} FROM tasks ORDER BY seq"):  # noqa: S608  (fixed texts)
            self._put(None, Task(*row))
        self._ends.sort(key=lambda end: end[1])
        highest = database.row("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'")
        self._next = (highest["seq"] if highest else 0) + 1

    # --- Making ---

    def add(self, new: Submission) -> Task:
        """One new task."""
        return self.add_many([new])[0]

    def add_many(self, submissions: Sequence[Submission]) -> list[Task]:
        """New tasks, all or none."""
        with self._lock:
            made = [self._made(seq, new) for seq, new in enumerate(submissions, self._next)]
            with self._database.transaction():
                self._database.change_many(_INSERT, [[getattr(task, name) for name in _NAMES] for task in made])
            self._next += len(made)
            for task in made:
                self._put(None, task)
            return made

    def _made(self, seq: int, new: Submission) -> Task:
        ended = new.status == "SUCCEEDED"
        return Task(
            seq=seq,
            task_id=str(uuid.UUID(bytes=self._bytes("task", seq), version=4)),
            checked=int(new.duration is not None),
            template_id=self._template_id(seq) if ended else None,
            **{field.name: getattr(new, field.name) for field in dataclasses.fields(Submission)},
        )

    # --- Looking ---

    def by_number(self, seq: int) -> Task:
        """The task with this number, which must exist."""
        return self._tasks[seq]

    def by_id(self, task_id: str) -> Task | None:
        """The task with this ID."""
        return self._by_id.get(task_id)

    def of_account(self, account: str, since: float, until: float) -> list[Task]:
        """An account's tasks submitted in a window, newest first."""
        with self._lock:
            return [self._tasks[seq] for _, seq in reversed(self._index.window(account, ANY, ANY, since, until).all())]

    def page(self, search: Search, limit: int, skip: int) -> tuple[int, list[Task]]:
        """How many tasks match in all, and one page of them, newest first; forgotten ones are left out."""
        filters = search.filters
        with self._lock:
            window = self._index.window(
                search.account, filters.get("model_name", ANY), filters.get("status", ANY), search.since, search.until
            )
            by_hand = {name: filters[name] for name in ("task_id", "api_key_id") if name in filters}
            if by_hand:
                window = window_of([place for place in window.all() if self._matches(place, by_hand)])
            # What was submitted since the moment cannot have ended before it: only the older ones need a look.
            old, recent = window.split(search.kept_since)
            kept = window_of([place for place in old if self._is_kept(place, search.kept_since)])
            page = recent.newest(skip, limit)
            page += kept.newest(max(skip - len(recent), 0), limit - len(page))
            return len(recent) + len(kept), [self._tasks[seq] for _, seq in page]

    def _matches(self, place: Place, wanted: Mapping[str, str]) -> bool:
        task = self._tasks[place[1]]
        return all(getattr(task, name) == value for name, value in wanted.items())

    def _is_kept(self, place: Place, moment: float) -> bool:
        ended = self._tasks[place[1]].ended
        return ended is None or ended >= moment

    def next_in_line(self, slots: int) -> list[Task]:
        """For each account, the oldest PENDING tasks that fit into its free slots."""
        with self._lock:
            waiting = [account for account, status in self._index.statuses() if status == "PENDING"]
            places: list[Place] = []
            for account in waiting:
                free = slots - self._index.count(account, "RUNNING")
                places += self._index.oldest(account, "PENDING", free)
            return [self._tasks[seq] for _, seq in places]

    def all(self) -> list[Task]:
        """Every task, oldest first."""
        with self._lock:
            return list(self._tasks.values())

    def with_status(self, status: str) -> list[Task]:
        """Every task with this status, oldest first."""
        return [task for task in self.all() if task.status == status]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many tasks there are by account and status; what only control knows of is counted too."""
        with self._lock:
            counts = self._index.statuses()
            for task in self._tasks.values():
                if not task.listed:
                    counts[task.account, task.status] = counts.get((task.account, task.status), 0) + 1
            return counts

    def ends(self, after: int) -> list[tuple[str, float]]:
        """Tasks in the order in which they ended, with that moment, from a place in this order on."""
        with self._lock:
            return self._ends[after:]

    # --- Changing ---

    @contextmanager
    def together(self) -> Iterator[None]:
        """Changes made inside are one transaction: many of them cost little more than one."""
        with self._lock, self._database.transaction():
            yield

    def appear(self, task: Task) -> None:
        """COMING → PENDING."""
        self._change(task, "COMING", status="PENDING", submitted=time.time())

    def schedule(self, task: Task) -> Task | None:
        """PENDING → RUNNING; None when somebody cancelled it meanwhile."""
        return self._change(task, "PENDING", status="RUNNING", scheduled=time.time())

    def cancel(self, task: Task) -> bool:
        """PENDING → CANCELED; False when it is past that."""
        return self._change(task, "PENDING", status="CANCELED", ended=time.time()) is not None

    def record_check(self, task: Task, outcome: Outcome) -> None:
        """Keep what the check found, so that a restart need not download again."""
        self._change(task, checked=1, duration=outcome.duration, code=outcome.code, message=outcome.message)

    def succeed(self, task: Task) -> Task | None:
        """RUNNING → SUCCEEDED with a template ID; None when it does not run."""
        template_id = self._template_id(task.seq)
        return self._change(task, "RUNNING", status="SUCCEEDED", ended=time.time(), template_id=template_id)

    def fail(self, task: Task, code: str, message: str) -> Task | None:
        """RUNNING → FAILED; None when it does not run."""
        return self._change(task, "RUNNING", status="FAILED", ended=time.time(), code=code, message=message)

    def forget(self, task: Task) -> None:
        """From now on the service knows nothing of it (the control page still does)."""
        self._change(task, forgotten=1)

    def _change(self, task: Task, was: str | None = None, **values: Value) -> Task | None:
        """Write some columns, if the task still has the status it is expected to have; the task as it is now."""
        with self._lock:
            old = self._tasks[task.seq]
            if was is not None and old.status != was:
                return None
            new: Task = dataclasses.replace(old, **values)  # type: ignore[arg-type]
            columns = ", ".join(f"{name} = ?" for name in values)
            self._database.change(f"UPDATE tasks SET {columns} WHERE seq = ?", [*values.values(), task.seq])  # noqa: S608
            self._put(old, new)
            return new

    def _put(self, old: Task | None, new: Task) -> None:
        """Hold the task in memory, in place of what it was."""
        self._tasks[new.seq] = self._by_id[new.task_id] = new
        before, now = _standing(old), _standing(new)
        if before != now:
            if before:
                self._index.remove(*before)
            if now:
                self._index.add(*now)
        if new.ended is not None and (old is None or old.ended is None):
            self._ends.append((new.task_id, new.ended))

    def _template_id(self, seq: int) -> str:
        raw = self._bytes("template", seq).hex()
        return f"AACT.{raw[:3]}.{raw[3:11]}-{raw[11:19]}.{raw[19:25]}"

    def _bytes(self, purpose: str, seq: int) -> bytes:
        if self._seed is None:
            return secrets.token_bytes(16)
        return hashlib.blake2b(f"{self._seed}/{purpose}/{seq}".encode(), digest_size=16).digest()


def _standing(task: Task | None) -> tuple[str, str, str, Place] | None:
    """Where a task stands in the index; None for one that the service does not know."""
    if task is None or not task.listed:
        return None
    return task.account, task.model, task.status, task.place
