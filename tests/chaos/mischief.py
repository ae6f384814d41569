"""What is done to a site, seeded: processes killed and frozen, the sandbox restarted, its answers lost and refused."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.chaos.site import Site

PAUSES = (0.3, 1.4)
FREEZES = (0.5, 4.0)
# What is hit how often; a group is all of a unit's processes at once.
KILLS = {
    "web": 1, "web worker": 3, "worker": 3, "guard": 1, "queue": 2, "sentinel": 2, "queue child": 6, "probe": 3,
    "web group": 1, "worker group": 2, "everything": 1, "sandbox": 2,
}  # fmt: skip
FROZEN = ("web worker", "worker", "queue", "queue child", "sandbox")
FREEZE_SHARE = 0.25
FORGET_SHARE = 0.2
POINT_ODDS = 0.01
# For as long as there is trouble at all, each call goes wrong with this probability.
STANDING: tuple[dict[str, Any], ...] = (
    {"where": "submit", "kind": "lose_answer", "probability": 0.08},
    {"where": "submit", "kind": "make_later", "seconds": 1, "probability": 0.05},
    {"where": "submit", "kind": "answer_late", "seconds": 3, "probability": 0.04},
    {"where": "submit", "kind": "refuse", "probability": 0.05},
    {"where": "submit", "kind": "status", "status": 500, "probability": 0.05},
    {"where": "submit", "kind": "status", "status": 429, "probability": 0.05},
    {"where": "get", "kind": "lose_answer", "probability": 0.05},
    {"where": "get", "kind": "status", "status": 429, "retry_after": 1, "probability": 0.03},
    {"where": "list", "kind": "status", "status": 503, "probability": 0.05},
    {"where": "list", "kind": "lose_answer", "probability": 0.05},
    {"where": "oss", "kind": "refuse", "probability": 0.01},
)
FAULTS: tuple[dict[str, Any], ...] = (
    {"where": "submit", "kind": "lose_answer"},
    {"where": "submit", "kind": "refuse"},
    {"where": "submit", "kind": "status", "status": 500},
    {"where": "submit", "kind": "status", "status": 503},
    {"where": "submit", "kind": "status", "status": 429},
    {"where": "submit", "kind": "status", "status": 429, "retry_after": 2},
    {"where": "submit", "kind": "slow", "seconds": 3},
    {"where": "submit", "kind": "answer_late", "seconds": 3},
    {"where": "submit", "kind": "make_later", "seconds": 1},
    {"where": "get", "kind": "status", "status": 500},
    {"where": "get", "kind": "status", "status": 429},
    {"where": "get", "kind": "lose_answer"},
    {"where": "get", "kind": "slow", "seconds": 3},
    {"where": "list", "kind": "status", "status": 503},
    {"where": "list", "kind": "refuse"},
    {"where": "list", "kind": "answer_late", "seconds": 3},
    {"where": "oss-part", "kind": "drop", "after_bytes": 1000},
    {"where": "oss-part", "kind": "lose_answer"},
    {"where": "oss-get", "kind": "drop", "after_bytes": 500},
    {"where": "oss-get", "kind": "status", "status": 503},
    {"where": "oss-put", "kind": "lose_answer"},
    {"where": "oss-complete", "kind": "lose_answer"},
    {"where": "oss-complete", "kind": "status", "status": 503},
    {"where": "oss-head", "kind": "refuse"},
    {"where": "oss", "kind": "refuse"},
    {"where": "task", "kind": "fail", "code": "InvalidFile.Content", "message": "No human body"},
    {"where": "task", "kind": "slow", "seconds": 2},
)


class Mischief:
    """Makes trouble in a thread until ``relent``, and some until ``stop``; it is counted in ``done``, and logged."""

    def __init__(self, site: Site, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._site = site
        self._seed = seed
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._frozen: list[tuple[float, int]] = []
        self._log = (site.here.folder / "mischief.log").open("a")
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._odds({"kill": POINT_ODDS, "seed": self._seed})
        for fault in STANDING:
            self._site.sandbox.control("POST", "faults", {**fault, "times": None})
        self._thread.start()

    def relent(self) -> None:
        """What is frozen goes on. Calls still go wrong, and processes still die at fault points: work gets on now."""
        self._stop.set()
        self._thread.join()
        self._thaw(everybody=True)

    def stop(self) -> None:
        """No more; faults that still wait are taken away."""
        self.relent()
        self._odds({})
        self._site.sandbox.clear_faults()
        with suppress(OSError):
            self.done["kill at a point"] = len((self._site.here.orders / "killed").read_text().splitlines())
        self._log.close()

    def _run(self) -> None:
        while not self._stop.wait(self._chance.uniform(*PAUSES)):
            self._thaw()
            self._note_fault(self._chance.choice(FAULTS))
            self._forget_connections()
            if self._chance.random() < FREEZE_SHARE:
                self._freeze(self._chance.choice(FROZEN))
            else:
                self._kill(self._chance.choices(list(KILLS), list(KILLS.values()))[0])

    def _odds(self, odds: dict[str, Any]) -> None:
        (self._site.here.orders / "odds").write_text(json.dumps(odds))

    def _note_fault(self, fault: dict[str, Any]) -> None:
        self._control("POST", "faults", fault)
        self._note(f"fault {fault['where']} {fault['kind']}", str(fault.get("status", "")))

    def _forget_connections(self) -> None:
        if self._chance.random() < FORGET_SHARE:
            self._control("DELETE", "connections")
            self._note("connections cut", "")

    def _control(self, method: str, path: str, content: object = None) -> None:
        """One that is frozen hears nothing: it would be waited for, and nothing else would happen meanwhile."""
        if self._site.sandbox.pid not in [pid for _until, pid in self._frozen]:
            with suppress(OSError, ValueError):
                self._site.sandbox.control(method, path, content)

    def _freeze(self, role: str) -> None:
        for pid in self._pids(role)[:1]:
            if _signal(pid, signal.SIGSTOP):
                self._frozen.append((time.monotonic() + self._chance.uniform(*FREEZES), pid))
                self._note(f"freeze {role}", str(pid))

    def _thaw(self, *, everybody: bool = False) -> None:
        now = time.monotonic()
        for until, pid in list(self._frozen):
            if everybody or until <= now:
                _signal(pid, signal.SIGCONT)
                self._frozen.remove((until, pid))

    def _kill(self, role: str) -> None:
        if role == "sandbox":
            self._note("kill sandbox", "")
            self._thaw(everybody=True)
            self._site.sandbox.restart(kill=True)
            return
        pids = self._pids(role)
        if role in KILLS and not role.endswith("group") and role != "everything":
            pids = pids[:1]
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        if pids:
            self._note(f"kill {role}", " ".join(map(str, pids)))

    def _pids(self, role: str) -> list[int]:
        """Those of that role, in a random order."""
        if role == "sandbox":
            return [self._site.sandbox.pid]
        every = self._site.processes()
        if role == "everything":
            found = [process.pid for process in every]
        elif role.endswith(" group"):
            web = role.startswith("web")
            found = [process.pid for process in every if process.role.startswith("web") == web]
        else:
            found = [process.pid for process in every if process.role == role]
        self._chance.shuffle(found)
        return found

    def _note(self, what: str, more: str) -> None:
        self.done[what] += 1
        self._log.write(f"{time.monotonic() - self._begun:7.2f} {what} {more}\n")
        self._log.flush()


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
