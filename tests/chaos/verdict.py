"""What must hold at the end, whatever was killed: the promises as sentences over rows and tasks."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.rows import Database

# error_code of a row that waits for a person (states.FOR_A_PERSON).
FOR_A_PERSON = "unconfirmed.person"
MOVING = frozenset({"checking", "queued", "submitting", "unconfirmed", "pending", "running"})
# A task that ended so is not billed (alibaba.md): sending again pays nothing twice.
UNBILLED = frozenset({"FAILED", "CANCELED"})

_MONTHLY = ("templates_held", "templates_used", "templates_granted", "ms_held", "ms_used", "ms_granted")
MONTHS = f"SELECT account_id, month, {', '.join(_MONTHLY)} FROM accounts_usagemonth"
MONTH_SUMS = (
    f"SELECT account_id, month, {', '.join(f'SUM({name}) AS {name}' for name in _MONTHLY)} FROM accounts_ledgerentry "
    "WHERE month IS NOT NULL GROUP BY account_id, month"
)
STORAGE = "SELECT account_id, bytes_held, bytes_used FROM accounts_storageuse"
STORAGE_SUMS = (
    "SELECT account_id, SUM(bytes_held) AS bytes_held, SUM(bytes_used) AS bytes_used FROM accounts_ledgerentry "
    "WHERE month IS NULL GROUP BY account_id"
)
OVER = """
SELECT m.account_id, m.templates_held + m.templates_used AS taken, q.templates_per_month AS limit_
FROM accounts_usagemonth m JOIN accounts_quota q ON q.account_id = m.account_id
WHERE m.templates_held + m.templates_used > q.templates_per_month + m.templates_granted
"""
# A run that goes over the end of a month has two rows: together they are what the templates say.
AGAINST_ROWS = """
SELECT a.id AS account_id,
       COALESCE((SELECT SUM(m.templates_held) FROM accounts_usagemonth m WHERE m.account_id = a.id), 0) AS held,
       COALESCE((SELECT SUM(m.templates_used) FROM accounts_usagemonth m WHERE m.account_id = a.id), 0) AS used,
       (SELECT COUNT(*) FROM templategen_actiontemplate t WHERE t.account_id = a.id
        AND t.state IN ('queued', 'submitting', 'unconfirmed', 'pending', 'running')) AS holding,
       (SELECT COUNT(*) FROM (
          SELECT t.account_id, t.task_id FROM templategen_actiontemplate t WHERE t.state = 'ready'
          UNION SELECT t.account_id, f.task_id FROM templategen_formertask f
          JOIN templategen_actiontemplate t ON t.id = f.origin_id WHERE f.template_id <> ''
        ) made WHERE made.account_id = a.id) AS ready
FROM accounts_account a
"""
BYTES_AGAINST_ROWS = """
SELECT a.id AS account_id,
       COALESCE((SELECT s.bytes_held FROM accounts_storageuse s WHERE s.account_id = a.id), 0) AS held,
       COALESCE((SELECT s.bytes_used FROM accounts_storageuse s WHERE s.account_id = a.id), 0) AS used,
       COALESCE((SELECT SUM(c.size_bytes) FROM templategen_clip c JOIN templategen_actiontemplate t ON t.clip_id = c.id
        WHERE c.account_id = a.id AND t.state = 'uploading'), 0) AS uploading,
       COALESCE((SELECT SUM(c.size_bytes) FROM templategen_clip c
        WHERE c.account_id = a.id AND c.stored_at IS NOT NULL), 0) AS stored
FROM accounts_account a
"""


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
    verdict.broken += [f"the ledger is not even: {text}" for text in uneven(database)]
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


def ledger_is_even(database: Database) -> bool:
    """Whether quota counters are the sums of the ledger's entries, within limits, and what the rows say."""
    return not uneven(database)


def uneven(database: Database) -> list[str]:
    """What is not even, in words: counters against entries, limits, and the states of the rows."""
    found = []
    for what, sums, counters in (("month", MONTH_SUMS, MONTHS), ("storage", STORAGE_SUMS, STORAGE)):
        by_sum = {_key(row): _numbers(row) for row in database.rows(sums)}
        by_counter = {_key(row): _numbers(row) for row in database.rows(counters)}
        for key in sorted(by_sum.keys() | by_counter.keys()):
            entries, counter = by_sum.get(key, {}), by_counter.get(key, {})
            if any(entries.get(name, 0) != counter.get(name, 0) for name in entries.keys() | counter.keys()):
                found.append(f"{what} {key}: counters {counter}, entries {entries}")
    found += [f"account {row['account_id']}: {row['taken']} of {row['limit_']} taken" for row in database.rows(OVER)]
    for row in database.rows(AGAINST_ROWS):
        numbers = _numbers(row)
        if (numbers["held"], numbers["used"]) != (numbers["holding"], numbers["ready"]):
            found.append(f"account {row['account_id']}: the ledger and its templates differ: {numbers}")
    for row in database.rows(BYTES_AGAINST_ROWS):
        numbers = _numbers(row)
        if (numbers["held"], numbers["used"]) != (numbers["uploading"], numbers["stored"]):
            found.append(f"account {row['account_id']}: the ledger and its clips differ: {numbers}")
    return found


def _key(row: dict[str, Any]) -> str:
    return f"{row['account_id']} {row.get('month', '')}"


def _numbers(row: dict[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in row.items() if name not in {"account_id", "month"}}
