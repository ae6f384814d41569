"""Every crash position of a template's way, found by a run without faults, then tried one by one in several lanes.

    python -m tests.chaos.every_point [--act kill|stop] [--database sqlite|postgres] [--lanes 6]

With ``--every 8 --offset 3`` only each eighth of them, from the fourth on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.chaos.place import QUICK, Prepared, place, prepared
from tests.chaos.points import ELSEWHERE
from tests.ports import free_port
from tests.running import ROOT

LANE_SECONDS = 600
# How often the same point is tried where a way comes by it again and again (reads of ranges, looks).
MOST_TIMES = 2
# Nothing but the one kill is in the way here, and no step takes long.
QUICKER = {"CHECK_LEASE_SECONDS": "2", "DASHSCOPE_TIMEOUT_SECONDS": "1", "RECONCILE_SETTLE_SECONDS": "3"}
Order = dict[str, Any]


def points_of(trace: list[str]) -> list[tuple[str, int]]:
    """Each point with its number among those of the same name, in the order in which they were reached."""
    seen: Counter[str] = Counter()
    found = []
    for point in trace:
        seen[point] += 1
        if seen[point] <= MOST_TIMES and not point.endswith(ELSEWHERE):
            found.append((point, seen[point]))
    return found


def can_freeze(point: str) -> bool:
    """A process that stands still within a transaction holds the database's lock: then everybody stands still.

    At SQLite an INSERT that returns the new key is one, until that has been read.
    """
    return not point.startswith(("before commit", "after INSERT"))


class Lanes:
    """Lanes over one prepared database."""

    def __init__(self, folder: Path, base: Prepared) -> None:
        self._folder = folder
        self._base = base
        self._count = 0

    def run(self, orders: list[Order | None], *, lanes: int) -> list[dict[str, Any]]:
        """All orders, spread over so many lanes at once; their outcomes, in the order of ``orders``."""
        with ThreadPoolExecutor(lanes) as pool:
            shares = [orders[start::lanes] for start in range(min(lanes, len(orders)))]
            numbers = range(self._count, self._count + len(shares))
            self._count += len(shares)
            outcomes = list(pool.map(self._lane, numbers, shares))
        found: list[dict[str, Any]] = [{}] * len(orders)
        for start, share in enumerate(outcomes):
            found[start::lanes] = share
        return found

    def _lane(self, number: int, orders: list[Order | None]) -> list[dict[str, Any]]:
        folder = self._folder / f"lane-{number}"
        port = free_port()
        here = place(
            self._base, folder, number,
            site_url="http://testserver", sandbox_url=f"http://127.0.0.1:{port}", waits={**QUICK, **QUICKER},
        )  # fmt: skip
        person = self._base.people[0]
        folder.joinpath("lane.json").write_text(
            json.dumps({
                "sandbox_port": port, "database": here.database.url, "slug": person.slug,
                "session": [self._base.cookie, person.session],
            })
        )  # fmt: skip
        folder.joinpath("orders.json").write_text(json.dumps(orders))
        with folder.joinpath("log").open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-m", "tests.chaos.lane", str(folder), str(folder / "orders.json")],
                cwd=ROOT, env=here.environment, stdout=subprocess.PIPE, stderr=log, timeout=LANE_SECONDS, check=False,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"a lane ended early, see {folder / 'log'}:\n{(folder / 'log').read_text()[-3000:]}")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def try_all(
    folder: Path, *, act: str, database: str, lanes: int, every: int = 1, offset: int = 0
) -> list[dict[str, Any]]:
    """The outcomes: first that of the undisturbed run, then one for each point (or each ``every``-th of them)."""
    with prepared(folder, database=database, broker="orm") as base:
        all_lanes = Lanes(folder, base)
        quiet = all_lanes.run([None], lanes=1)[0]
        points = [(point, nth) for point, nth in points_of(quiet["trace"]) if act == "kill" or can_freeze(point)]
        orders: list[Order | None] = [{"point": point, "nth": nth, "act": act} for point, nth in points[offset::every]]
        return [quiet, *all_lanes.run(orders, lanes=lanes)]


def told(outcomes: list[dict[str, Any]]) -> tuple[str, bool]:
    """The outcomes in lines, and whether every promise held."""
    lines = []
    for outcome in outcomes:
        order = outcome["order"]
        where = f"{order['act']} {order['point']} #{order['nth']}" if order else "nothing"
        lines.append(
            f"{outcome['state']:18} {outcome['seconds']:6.1f} s  {where}{'' if outcome['hit'] else '  (not reached)'}"
        )
        lines += [f"    BROKEN {text}" for text in outcome["broken"]]
    states = Counter(outcome["state"] for outcome in outcomes)
    lines.append(" ".join(f"{state}={count}" for state, count in sorted(states.items())))
    return "\n".join(lines), not any(outcome["broken"] for outcome in outcomes)


def main() -> int:
    """Print them all; exit status 1 where a promise is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--act", choices=["kill", "stop"], default="kill")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--lanes", type=int, default=6)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="templategen-chaos-"))
    text, good = told(
        try_all(
            folder, act=asked.act, database=asked.database, lanes=asked.lanes, every=asked.every, offset=asked.offset
        )
    )
    print(text)
    print(f"logs: {folder}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
