"""The table of tasks: what was submitted, how far it is, what came out."""

import dataclasses
import hashlib
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from templategen.sandbox.database import Database, Value


@dataclass(frozen=True)
class Task:
    """A row of the tasks table; times are seconds since the epoch, `duration` is the clip's length in seconds."""

    seq: int
    task_id: str
    account: str
    api_key_id: str
    request_id: str
    model: str
    video_url: str
    status: str
    submitted: float
    scheduled: float | None
    ended: float | None
    checked: int
    code: str | None
    message: str | None
    duration: float | None
    template_id: str | None
    forgotten: int


_FIELDS = ", ".join(field.name for field in dataclasses.fields(Task))


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


class Tasks:
    """All tasks of all accounts. With a seed, IDs follow from the seed and the task's number instead of from chance."""

    def __init__(self, database: Database, seed: str | None) -> None:
        self._database = database
        self._seed = seed

    def add(self, account: str, api_key_id: str, request_id: str, model: str, video_url: str) -> Task:
        """A new PENDING task."""
        with self._database.transaction():
            seq = self._database.add(
                "INSERT INTO tasks (task_id, account, api_key_id, request_id, model, video_url, status, submitted)"
                " VALUES (?, ?, ?, ?, ?, ?, 'PENDING', ?)",
                (secrets.token_hex(16), account, api_key_id, request_id, model, video_url, time.time()),
            )
            task_id = str(uuid.UUID(bytes=self._bytes("task", seq), version=4))
            self._database.change("UPDATE tasks SET task_id = ? WHERE seq = ?", (task_id, seq))
        return self.by_number(seq)

    def by_number(self, seq: int) -> Task:
        """The task with this number, which must exist."""
        return self._find("seq = ?", (seq,))[0]

    def by_id(self, task_id: str) -> Task | None:
        """The task with this ID."""
        return next(iter(self._find("task_id = ?", (task_id,))), None)

    def of_account(self, account: str, since: float, until: float) -> list[Task]:
        """An account's tasks submitted in a window, newest first."""
        where = "account = ? AND submitted >= ? AND submitted <= ? ORDER BY submitted DESC, seq DESC"
        return self._find(where, (account, since, until))

    def page(self, search: Search, limit: int, skip: int) -> tuple[int, list[Task]]:
        """How many tasks match in all, and one page of them, newest first; forgotten ones are left out."""
        names = {"task_id": "task_id", "model_name": "model", "status": "status", "api_key_id": "api_key_id"}
        where = "account = ? AND submitted >= ? AND submitted <= ? AND forgotten = 0 AND (ended IS NULL OR ended >= ?)"
        where += "".join(f" AND {names[name]} = ?" for name in search.filters)
        values: list[Value] = [search.account, search.since, search.until, search.kept_since, *search.filters.values()]
        row = self._database.row(f"SELECT count(*) AS n FROM tasks WHERE {where}", values)  # noqa: S608  (fixed texts)
        found = self._find(f"{where} ORDER BY submitted DESC, seq DESC LIMIT ? OFFSET ?", [*values, limit, skip])
        return (row["n"] if row else 0), found

    def next_in_line(self, slots: int) -> list[Task]:
        """For each account, the oldest PENDING tasks that fit into its free slots."""
        rows = self._database.rows(
            "SELECT account, sum(status = 'RUNNING') AS running FROM tasks"
            " WHERE status IN ('PENDING', 'RUNNING') GROUP BY account"
        )
        found: list[Task] = []
        for row in rows:
            free = slots - row["running"]
            if free > 0:
                found += self._find("account = ? AND status = 'PENDING' ORDER BY seq LIMIT ?", (row["account"], free))
        return found

    def all(self) -> list[Task]:
        """Every task, oldest first."""
        return self._find("1 ORDER BY seq")

    def with_status(self, status: str) -> list[Task]:
        """Every task with this status, oldest first."""
        return self._find("status = ? ORDER BY seq", (status,))

    def schedule(self, task: Task) -> bool:
        """PENDING → RUNNING; False when somebody cancelled it meanwhile."""
        sql = "UPDATE tasks SET status = 'RUNNING', scheduled = ? WHERE seq = ? AND status = 'PENDING'"
        return self._database.change(sql, (time.time(), task.seq)) == 1

    def cancel(self, task: Task) -> bool:
        """PENDING → CANCELED; False when it is past that."""
        sql = "UPDATE tasks SET status = 'CANCELED', ended = ? WHERE seq = ? AND status = 'PENDING'"
        return self._database.change(sql, (time.time(), task.seq)) == 1

    def record_check(self, task: Task, outcome: Outcome) -> None:
        """Keep what the check found, so that a restart need not download again."""
        self._database.change(
            "UPDATE tasks SET checked = 1, duration = ?, code = ?, message = ? WHERE seq = ?",
            (outcome.duration, outcome.code, outcome.message, task.seq),
        )

    def succeed(self, task: Task) -> None:
        """RUNNING → SUCCEEDED with a template ID."""
        raw = self._bytes("template", task.seq).hex()
        template_id = f"AACT.{raw[:3]}.{raw[3:11]}-{raw[11:19]}.{raw[19:25]}"
        self._database.change(
            "UPDATE tasks SET status = 'SUCCEEDED', ended = ?, template_id = ? WHERE seq = ? AND status = 'RUNNING'",
            (time.time(), template_id, task.seq),
        )

    def fail(self, task: Task, code: str, message: str) -> None:
        """RUNNING → FAILED."""
        self._database.change(
            "UPDATE tasks SET status = 'FAILED', ended = ?, code = ?, message = ? WHERE seq = ? AND status = 'RUNNING'",
            (time.time(), code, message, task.seq),
        )

    def forget(self, task: Task) -> None:
        """From now on the service knows nothing of it (the control page still does)."""
        self._database.change("UPDATE tasks SET forgotten = 1 WHERE seq = ?", (task.seq,))

    def _find(self, where: str, values: Sequence[Value] = ()) -> list[Task]:
        rows = self._database.rows(f"SELECT {_FIELDS} FROM tasks WHERE {where}", values)  # noqa: S608  (fixed texts)
        return [Task(**dict(row)) for row in rows]

    def _bytes(self, purpose: str, seq: int) -> bytes:
        if self._seed is None:
            return secrets.token_bytes(16)
        return hashlib.blake2b(f"{self._seed}/{purpose}/{seq}".encode(), digest_size=16).digest()
