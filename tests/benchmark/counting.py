"""The product's settings, and a count of what each process writes into the database.

Each process keeps ``writes-PID.json`` in the data folder up to date: statements that write, and the rows they touched.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

from templategen.settings import *  # noqa: F403
from templategen.settings import DATA_DIR

_WRITES = ("INSERT", "UPDATE", "DELETE")
_counts = {"statements": 0, "rows": 0, "queries": 0}
_lock = threading.Lock()


def _count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    result = execute(sql, params, many, context)
    with _lock:
        _counts["queries"] += 1
        if sql.startswith(_WRITES):
            _counts["statements"] += 1
            _counts["rows"] += max(context["cursor"].rowcount, 0)
    return result


def _watch(connection: Any, **_signal: Any) -> None:
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)
    _start()


def _start() -> None:
    if os.getpid() not in _started:
        _started.add(os.getpid())
        threading.Thread(target=_keep_writing, daemon=True).start()


def _keep_writing() -> None:
    path = DATA_DIR / f"writes-{os.getpid()}.json"
    while True:
        time.sleep(0.5)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(_counts))
        fresh.replace(path)


_started: set[int] = set()
connection_created.connect(_watch, weak=False)
