"""Fault points: just before and just after each network call and each commit that concerns a template.

The app is installed by tests.chaos.settings only. Every point that a process reaches has a name, such as
``before POST pipeline/submit.py:launch`` or ``after commit pipeline/submit.py:adopt``. The folder CHAOS_DIR says what
happens there:

- ``trace``: where this file is, each name is written to its end;
- ``order``: JSON ``{"point": NAME, "nth": 1, "act": "kill" | "stop"}``: whoever comes there as the nth, counted over
  all processes, kills or stops itself (SIGKILL, SIGSTOP), once;
- ``odds``: JSON ``{"kill": 0.02, "seed": 7}``: each point kills its process with that probability.
"""

import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import requests
from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

TABLES = (
    "templategen_actiontemplate", "templategen_clip", "templategen_event", "django_q_ormq", "accounts_ledgerentry",
    "accounts_usagemonth", "accounts_storageuse",
)  # fmt: skip
_WRITES = ("INSERT", "UPDATE", "DELETE")
_PRODUCT = f"{os.sep}templategen{os.sep}"
_QUEUE = f"{os.sep}django_q{os.sep}"
# They say what is done, not on whose behalf.
_GO_BETWEENS = ("models.py", "actions/queue.py", "points.py")
_WAITS = {
    "pipeline.check._STORAGE_WAIT": 1.0,
    "pipeline.submit._STORAGE_WAIT": 1.0,
    "policy._FIRST_WAIT": 0.5,
    "policy._LONGEST_WAIT": 2.0,
    "sweep._ON_ITS_WAY": 1.0,
    "sweep._RUNG_AGAIN": 3.0,
}
ELSEWHERE = "elsewhere"


class Points(AppConfig):
    """Puts the points in."""

    name = "tests.chaos"
    label = "chaos"

    def ready(self) -> None:
        """Once a process, before anything is forked."""
        if "CHAOS_DIR" not in os.environ:
            return
        _shorten_waits()
        _wrap_requests()
        _wrap_commits()
        connection_created.connect(_watch_statements)


def _shorten_waits() -> None:
    """Waits that are no settings, in proportion to those that are (place.QUICK)."""
    for place, seconds in _WAITS.items():
        module, _, name = place.rpartition(".")
        found = import_module(f"templategen.{module}")
        assert isinstance(getattr(found, name), timedelta), f"{place} is no wait any more"
        setattr(found, name, timedelta(seconds=seconds))


def reach(when: str, what: str) -> None:
    """This process is at a point: note it, and die here if that was ordered."""
    folder = Path(os.environ["CHAOS_DIR"])
    trace, order, odds = folder / "trace", _json(folder / "order"), _json(folder / "odds")
    tracing = trace.exists()
    if not (tracing or order or odds):
        return
    point = f"{when} {what} {_site()}"
    if tracing:
        with trace.open("a") as file:
            file.write(point + "\n")
    if order and order["point"] == point and _is_nth(folder, point, order["nth"]):
        os.kill(os.getpid(), signal.SIGSTOP if order["act"] == "stop" else signal.SIGKILL)
    if odds and _chance(odds["seed"], os.getpid()).random() < odds["kill"]:
        with (folder / "killed").open("a") as file:
            file.write(f"{os.getpid()} {point}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text() or "{}")
    except (OSError, ValueError):
        # Not there, or just being written.
        return {}
    return found


@cache
def _chance(seed: int, pid: int) -> random.Random:
    return random.Random(f"{seed}/{pid}")


def _is_nth(folder: Path, point: str, nth: int) -> bool:
    """Counts over all processes: who makes the file with the number is that one."""
    mark = hashlib.sha256(point.encode()).hexdigest()[:16]
    for number in range(1, nth + 1):
        with suppress(FileExistsError):
            os.close(os.open(folder / f"{mark}.{number}", os.O_CREAT | os.O_EXCL))
            return number == nth
    return False


def _site() -> str:
    """The innermost function of the product, else of the queue, that led here: ``pipeline/submit.py:launch``."""
    frame = sys._getframe(2)
    queue = ""
    while frame is not None:
        name, function = frame.f_code.co_filename, frame.f_code.co_name
        if _PRODUCT in name and not name.endswith(_GO_BETWEENS) and "/clients/" not in name:
            return f"{name.rpartition(_PRODUCT)[2]}:{function}"
        if _QUEUE in name and not queue:
            queue = f"{name.rpartition(_QUEUE)[2]}:{function}"
        frame = frame.f_back  # type: ignore[assignment]
    return queue or ELSEWHERE


def _wrap_requests() -> None:
    """Both clients end there: TimeoutSession is one, oss2's session has one."""
    send = requests.Session.request

    def request(self: requests.Session, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        reach("before", method)
        response = send(self, method, url, *args, **kwargs)
        reach("after", method)
        return response

    requests.Session.request = request  # type: ignore[assignment, method-assign]


def _wrap_commits() -> None:
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def wrapped(self: BaseDatabaseWrapper) -> None:
        concerned, self.chaos_wrote = getattr(self, "chaos_wrote", False), False  # type: ignore[attr-defined]
        if concerned:
            reach("before", "commit")
        commit(self)
        if concerned:
            reach("after", "commit")

    BaseDatabaseWrapper._commit = wrapped  # type: ignore[attr-defined]


def _watch_statements(*, connection: Any, **_kwargs: Any) -> None:
    if _statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_statement)


def _statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A statement by itself is its own commit; within a transaction the commit is still to come."""
    connection = context["connection"]
    if not sql.lstrip().upper().startswith(_WRITES) or not any(table in sql for table in TABLES):
        return execute(sql, params, many, context)
    if connection.in_atomic_block:
        connection.chaos_wrote = True
        return execute(sql, params, many, context)
    what = sql.split(maxsplit=1)[0].upper()
    reach("before", what)
    result = execute(sql, params, many, context)
    reach("after", what)
    return result
