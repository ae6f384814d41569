"""The site's database and the sandbox's tasks, read from outside: plain SQL, no Django, a connection each time."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

TEMPLATES = """
SELECT t.id, t.public_id, t.state, t.error_code, t.task_id, t.template_id, t.attempt, t.step_tries, t.deleted_at,
       c.object_key, c.upload_id, c.file_name
FROM templategen_actiontemplate t JOIN templategen_clip c ON c.id = t.clip_id ORDER BY t.id
"""
EVENTS = """
SELECT template_id, kind, start, "to" AS "to", task_id, by_id, detail FROM templategen_event ORDER BY id
"""


class Database:
    """By its address: ``sqlite:///PATH`` or ``postgres://…``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the query gives, a dict a row."""
        if self.url.startswith("sqlite:///"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=20)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(sql)]
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            return list(connection.execute(sql).fetchall())

    def templates(self) -> list[dict[str, Any]]:
        """Every template with its clip, public_id as 32 hexadecimal digits in both databases."""
        return [{**row, "public_id": str(row["public_id"]).replace("-", "")} for row in self.rows(TEMPLATES)]

    def events(self) -> list[dict[str, Any]]:
        """Every event, oldest first; ``detail`` as a dict."""
        found = self.rows(EVENTS)
        for row in found:
            if isinstance(row["detail"], str):
                row["detail"] = json.loads(row["detail"])
        return found


def sqlite_url(path: Path) -> str:
    """The address of such a file."""
    return f"sqlite:///{path}"
