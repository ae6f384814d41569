"""The sandbox's memory: one SQLite file for everything but the bytes of objects.

One connection behind one lock is enough here (a stand-in serves a handful of clients) and leaves no room for "database
is locked". Write-ahead logging with `synchronous=NORMAL` survives a kill -9 of the process; it does not promise to
survive a power cut.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, created REAL NOT NULL, cors TEXT, lifecycle TEXT);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, crc TEXT, kind TEXT NOT NULL,
    modified REAL NOT NULL, headers TEXT NOT NULL, blobs TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, initiated REAL NOT NULL, headers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, crc TEXT,
    modified REAL NOT NULL, blob TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE, account TEXT NOT NULL,
    api_key_id TEXT NOT NULL, request_id TEXT NOT NULL, model TEXT NOT NULL, video_url TEXT NOT NULL,
    status TEXT NOT NULL, submitted REAL NOT NULL,
    scheduled REAL, ended REAL, checked INTEGER NOT NULL DEFAULT 0, code TEXT, message TEXT, duration REAL,
    template_id TEXT, forgotten INTEGER NOT NULL DEFAULT 0, run_seconds REAL);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, content TEXT NOT NULL);
DROP INDEX IF EXISTS tasks_by_account;
DROP INDEX IF EXISTS tasks_by_status;
"""
# Columns that came later than the table: added to a data folder that was made before them.
_LATER = {"tasks": {"run_seconds": "REAL"}}

Value = str | int | float | None


class Database:
    """The SQLite file, safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)
        for table, columns in _LATER.items():
            there = {row["name"] for row in self._connection.execute(f"PRAGMA table_info({table})")}
            for name in columns.keys() - there:
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing does. Nobody else reads or writes meanwhile."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self._lock:
            row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return row

    def change(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Run one statement; the number of rows it touched."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def change_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each row of values."""
        with self._lock:
            self._connection.executemany(sql, rows)

    def kept(self, name: str) -> str | None:
        """A text that was kept under a name."""
        row = self.row("SELECT content FROM kept WHERE name = ?", (name,))
        return None if row is None else str(row["content"])

    def keep(self, name: str, content: str | None) -> None:
        """Keep a text under a name, or (None) no longer."""
        if content is None:
            self.change("DELETE FROM kept WHERE name = ?", (name,))
        else:
            self.change("INSERT OR REPLACE INTO kept (name, content) VALUES (?, ?)", (name, content))
