"""One template after the other, each with one process killed (or frozen) at one fault point: every crash position.

    python -m tests.chaos.lane FOLDER ORDERS.json

runs in an environment that tests/chaos/every_point.py makes. Each step of a template's way (a request of the browser,
a job of the queue, a pass of the conductor) is a process of its own, forked from this one, so that a SIGKILL is a real
one and costs no start; what it leaves behind is found by the later steps alone. ORDERS is a list of
``{"point", "nth", "act"}``; null stands for a template that nothing happens to. Prints a JSON list of what became of
each.
"""

import json
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.client import Answer, Client, UnreachableError
from tests.chaos.rows import Database
from tests.chaos.verdict import is_for_a_person, is_moving, judge
from tests.clips import clip_bytes
from tests.sandbox import Sandbox

STEP_SECONDS = 60.0
SETTLE_SECONDS = 150.0


class Lane:
    """One database, one sandbox, one template at a time."""

    def __init__(self, folder: Path, database: Database, sandbox: Sandbox, slug: str, session: tuple[str, str]) -> None:
        self._orders = Path(os.environ["CHAOS_DIR"])
        self._heard = folder / "heard"
        self._database = database
        self._sandbox = sandbox
        self._slug = slug
        self._session = session
        self._frozen: list[int] = []
        self._number = 0

    def run(self, order: dict[str, Any] | None) -> dict[str, Any]:
        """One template's way with that order in force; what became of it."""
        self._number += 1
        begun = time.monotonic()
        name = f"clip-{self._number}.mp4"
        for old in self._orders.iterdir():
            old.unlink()
        self._heard.write_bytes(b"")
        self._orders.joinpath("trace").touch()
        if order:
            self._orders.joinpath("order").write_text(json.dumps(order))
        problem, trace = "", list[str]()
        try:
            client = Client(self._request, self._slug, until=time.monotonic() + SETTLE_SECONDS)
            public_id = client.upload(name, clip_bytes())
            self._settle(public_id)
            self._orders.joinpath("order").unlink(missing_ok=True)
            trace = self._orders.joinpath("trace").read_text().splitlines()
            self._wake_frozen()
            self._everything_again()
            self._settle(public_id)
        except TimeoutError as late:
            problem, public_id = f"{name}: {late}", ""
        finally:
            self._wake_frozen()
        hit = any(mark.name.endswith(f".{order['nth']}") for mark in self._orders.iterdir()) if order else True
        verdict = judge(self._database, self._sandbox.tasks(), [public_id] if public_id else [])
        broken = [problem, *verdict.broken] if problem else verdict.broken
        # Of this template only: what an earlier one broke was said then.
        own = [text for text in broken if name in text or public_id in text]
        row = next(
            (row for row in self._database.templates() if row["file_name"] == name and not row["deleted_at"]), {}
        )
        state = row.get("state", "")
        return {
            "order": order,
            "hit": hit,
            "state": f"{state}.person" if row and is_for_a_person(row) else state,
            "broken": own,
            "seconds": round(time.monotonic() - begun, 2),
            "trace": trace,
        }

    def _settle(self, public_id: str) -> None:
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            self._jobs()
            self._step(_conduct)
            self._jobs()
            row = next(row for row in self._database.templates() if row["public_id"] == public_id.replace("-", ""))
            if not is_moving(row) and row["state"] != "uploading":
                return
            if time.monotonic() > until:
                raise TimeoutError(f"stays {row['state']} {row['error_code']}")
            time.sleep(0.05)

    def _jobs(self) -> None:
        """Each message once: taken from the queue before it is begun, so that a killed one is a lost one."""
        for row in self._database.rows("SELECT id FROM django_q_ormq ORDER BY id"):
            self._step(lambda pk=row["id"]: _job(pk, self._heard))  # type: ignore[misc]

    def _everything_again(self) -> None:
        """Every message that ever was, once more: the queue may deliver late and twice."""
        with self._heard.open("rb") as file:
            while True:
                try:
                    function, kwargs = pickle.load(file)
                except EOFError:
                    return
                self._step(lambda f=function, k=kwargs: _call(f, k))  # type: ignore[misc]

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        read_end, write_end = os.pipe()

        def ask() -> None:
            os.close(read_end)
            answer = _ask(self._session, method, path, body, headers)
            with os.fdopen(write_end, "wb") as pipe:
                pickle.dump((answer.status_code, answer.content), pipe)

        # Closed here only after the fork, or the child would have none.
        self._step(ask, then=lambda: os.close(write_end))
        with os.fdopen(read_end, "rb") as pipe:
            os.set_blocking(pipe.fileno(), False)
            try:
                status, content = pickle.load(pipe)
            except (EOFError, TypeError, pickle.UnpicklingError):
                raise UnreachableError(method) from None
        return Answer(status, content)

    def _step(self, work: Callable[[], None], *, then: Callable[[], None] = lambda: None) -> None:
        """Fork, work there, wait until it ends, is killed, or stops itself."""
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _work_and_end(work)
        then()
        until = time.monotonic() + STEP_SECONDS
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if ended:
                break
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise TimeoutError("a step did not end")
            time.sleep(0.004)
        if os.WIFSTOPPED(status):
            self._frozen.append(pid)

    def _wake_frozen(self) -> None:
        """Those that stopped themselves go on, after everybody else is done with the row."""
        while self._frozen:
            pid = self._frozen.pop()
            os.kill(pid, signal.SIGCONT)
            until = time.monotonic() + STEP_SECONDS
            while not os.waitpid(pid, os.WNOHANG)[0]:
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.005)


def _work_and_end(work: Callable[[], None]) -> None:
    code = 0
    try:
        work()
    except BaseException:  # noqa: BLE001 -- a forked child must never run the parent's code on
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def _conduct() -> None:
    """One pass, sweep included; the lease is given back, for the next pass is another process."""
    from django.utils import timezone

    from templategen import reconcile
    from templategen.conductor import Conductor

    # Each worker command's own part, lease or not.
    reconcile.bury_senders(now=timezone.now())
    conductor = Conductor()
    if conductor.lease.acquire():
        conductor.one_pass()
        # What came of the looks that it began.
        conductor.finish_looks()
        conductor.one_pass()
        conductor.lease.release()


def _job(pk: int, heard: Path) -> None:
    from django_q.models import OrmQ
    from django_q.signing import SignedPackage

    message = OrmQ.objects.get(pk=pk)
    task = SignedPackage.loads(message.payload)
    OrmQ.objects.filter(pk=pk).delete()
    with heard.open("ab") as file:
        pickle.dump((task["func"], task["kwargs"]), file)
    _call(task["func"], task["kwargs"])


def _call(function: str, kwargs: dict[str, Any]) -> None:
    from django.utils.module_loading import import_string

    import_string(function)(**kwargs)


def _ask(session: tuple[str, str], method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
    from django.test import Client as Page

    page = Page(raise_request_exception=False)
    page.cookies[session[0]] = session[1]
    return page.generic(
        method, path, body or b"", content_type=headers.get("Content-Type", ""), headers={"Accept": headers["Accept"]}
    )


def main(folder: Path, orders: list[dict[str, Any] | None]) -> None:
    """Run them all."""
    import django

    django.setup()
    from django.db import connections

    # Everything that a step needs is imported before the forks, so that none pays for it.
    from django.urls import get_resolver

    import templategen.conductor
    import templategen.jobs  # noqa: F401

    get_resolver().check()
    connections.close_all()
    known = json.loads((folder / "lane.json").read_text())
    sandbox = Sandbox(folder / "sandbox", port=known["sandbox_port"])
    sandbox.settings(run_seconds=0.05)
    try:
        lane = Lane(folder, Database(known["database"]), sandbox, known["slug"], tuple(known["session"]))
        print(json.dumps([lane.run(order) for order in orders]))
    finally:
        sandbox.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
