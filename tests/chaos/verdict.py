"""What must hold at the end, whatever was killed: the promises as sentences over rows and tasks."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from tests.chaos.rows import Database

# error_code of a row that waits for a person (states.FOR_A_PERSON).
FOR_A_PERSON = "unconfirmed.person"
MOVING = frozenset({"checking", "queued", "submitting", "unconfirmed", "pending", "running"})
# A task that ended so is not billed (alibaba.md): sending again pays nothing twice.
UNBILLED = frozenset({"FAILED", "CANCELED"})


@dataclass
class Verdict:
    """Broken promises, in words; and what was counted."""

    broken: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def good(self) -> bool:
        """Nothing is broken."""
        return not self.broken


def is_for_a_person(row: dict[str, Any]) -> bool:
    """The machine has given it up: nothing happens to it by itself."""
    return bool(row["state"] == "unconfirmed" and row["error_code"] == FOR_A_PERSON)


def is_moving(row: dict[str, Any]) -> bool:
    """Something has still to happen by itself."""
    return row["state"] in MOVING and not is_for_a_person(row)


def judge(database: Database, tasks: Iterable[dict[str, Any]], finished: Iterable[str]) -> Verdict:
    """``tasks``: all that the sandbox ever made. ``finished``: public IDs that a client was told are uploaded."""
    verdict = Verdict()
    rows, events = database.templates(), database.events()
    by_key = {row["object_key"]: row for row in rows}
    made = defaultdict(list)
    for task in tasks:
        key = next((key for key in by_key if f"/{key}?" in task["video_url"]), "")
        if not key:
            verdict.broken.append(f"task {task['task_id']} has no row")
        made[key].append(task)
    for row in rows:
        _judge_row(verdict, row, made[row["object_key"]], [e for e in events if e["template_id"] == row["id"]])
    _judge_uploads(verdict, rows, finished)
    if not ledger_is_even(database):
        verdict.broken.append("the ledger is not even")
    verdict.counts["rows"], verdict.counts["tasks"] = len(rows), sum(len(of) for of in made.values())
    verdict.counts["succeeded"] = sum(task["status"] == "SUCCEEDED" for of in made.values() for task in of)
    return verdict


def _judge_row(
    verdict: Verdict, row: dict[str, Any], tasks: list[dict[str, Any]], events: list[dict[str, Any]]
) -> None:
    name = f"{row['file_name']} ({row['state']} {row['error_code']})"
    told = [f"{e['start']}>{e['to'] or e['kind']}" for e in events]
    verdict.counts[row["state"] + (".person" if is_for_a_person(row) else "")] += 1
    paid = [task for task in tasks if task["status"] not in UNBILLED]
    decided = sum(1 for e in events if e["by_id"] and e["start"] in {"unconfirmed", "lost"} and e["to"] == "queued")
    if len(paid) > 1 + decided:
        verdict.broken.append(f"{name}: paid {len(paid)} times; {told}")
    if is_moving(row):
        verdict.broken.append(f"{name}: stuck; {told[-4:]}")
    if row["state"] == "ready":
        same = [t for t in tasks if t["task_id"] == row["task_id"] and t["template_id"] == row["template_id"]]
        if not same:
            verdict.broken.append(f"{name}: its ID is not the one that its video was given")
    elif any(task["status"] == "SUCCEEDED" for task in tasks) and not is_for_a_person(row):
        verdict.broken.append(f"{name}: a task of it succeeded, and its ID is not stored; {told}")
    if row["state"] in {"failed", "lost"} and not any(task["status"] == "FAILED" for task in tasks):
        verdict.broken.append(f"{name}: no task of it failed; {told}")
    if row["state"] == "blocked" and row["error_code"] != "check.given_up":
        verdict.broken.append(f"{name}: a good clip was blocked; {told}")


def _judge_uploads(verdict: Verdict, rows: list[dict[str, Any]], finished: Iterable[str]) -> None:
    known = {row["public_id"]: row for row in rows}
    for public_id in finished:
        row = known.get(public_id.replace("-", ""))
        if row is None or row["state"] in {"uploading", "canceled"} or row["deleted_at"]:
            verdict.broken.append(f"upload {public_id} was finished, and is {row and row['state']}")


def ledger_is_even(_database: Database) -> bool:
    """Whether quota counters equal the ledger. There is none yet: the check comes with accounts/ledger.py."""
    return find_spec("accounts.ledger") is None
