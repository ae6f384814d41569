"""Ten thousand open tasks on one worker process: what watching them costs, and how soon an end is known.

    python tests/benchmark/in_flight.py [--tasks 10000] [--seconds 60] [--only limited|unlimited]

The sandbox holds the tasks, whose ends are spread evenly (some five a second), and ``manage.py worker`` watches them:
first within the service's limit of 20 queries a second (the product's own setting is left as it is), then without any
limit on either side. After a warm-up everything is counted for so many seconds; then it is waited until each end of
that time is known. Prints ``limited_…`` and ``unlimited_…``:

- ``looks_per_s``: queries (single ones and list pages) as the sandbox counted them; ``share_of_limit`` of the 20;
  ``throttled``: those it answered with 429; ``tasks_seen_per_s``: tasks that these told of
- ``delay_median_s``, ``delay_p95_s``, ``delay_max_s``: from the end at the sandbox to READY; ``ends``: how many
- ``cpu_share``: of one core, the worker command's own process (the queue's processes: ``queue_cpu_share``);
  ``cpu_s_per_1000_looks``
- ``writes_per_look``: rows written, those of ends included; ``statements_per_look``
- ``rss_mb``: the worker command's memory
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.running import environment, processes_of, run, running
from tests.sandbox import Sandbox

LIMIT = 20
# Each task's run time is even between these, so that ends come evenly from the first second on.
SHORTEST_S, LONGEST_S = 20, 1980
WARM_UP_S, PATIENCE_S = 25.0, 120.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Counted:
    """What had been counted at a moment."""

    at: float
    calls: dict[str, int]
    throttled: int
    own_cpu_s: float
    queue_cpu_s: float
    writes: dict[str, int]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def rss_mb(pid: int) -> float:
    """Resident memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def count(sandbox: Sandbox, data: Path, pid: int) -> Counted:
    """Everything that is counted, now."""
    overview = sandbox.overview()
    others = [cpu_seconds(other) for other in processes_of(data) if other != pid]
    writes = json.loads((data / f"writes-{pid}.json").read_text())
    return Counted(
        time.time(), overview["calls"], overview["throttled"], cpu_seconds(pid), sum(others), writes
    )  # fmt: skip


def seed_rows(data: Path, task_ids: list[str]) -> None:
    """A RUNNING template for each task, of three accounts."""
    from accounts.models import Account
    from templategen.models import ActionTemplate, Clip
    from templategen.states import State

    now = datetime.now(UTC)
    accounts = [Account.objects.create(name=f"Studio {n}", slug=f"studio-{n}") for n in range(3)]
    clips = [
        Clip(account=accounts[n % 3], object_key=f"clips/{n}", file_name="dance.mp4", size_bytes=1)
        for n in range(len(task_ids))
    ]
    Clip.objects.bulk_create(clips, batch_size=500)
    ActionTemplate.objects.bulk_create(
        [
            ActionTemplate(
                account=clip.account, clip=clip, name="Dance", search_text=task_id, state=State.RUNNING,
                task_id=task_id, sent_at=now, claimed_at=now, running_at=now,
                # As they are once they have been watched for a while.
                next_look_at=now + timedelta(seconds=n % 180),
            )
            for n, (clip, task_id) in enumerate(zip(clips, task_ids, strict=True))
        ],
        batch_size=500,
    )  # fmt: skip


def known_ends(sandbox: Sandbox, since: float, until: float) -> dict[str, float]:
    """Task ID → when it ended, of those that ended within."""
    ends = sandbox.control("GET", "ends?after=0")["ends"]
    return {task_id: ended for task_id, ended in ends if since <= ended < until}


def delays(ends: dict[str, float]) -> list[float]:
    """From each end to READY, once all are known; those that are not after a while count as that long."""
    from templategen.models import ActionTemplate

    give_up = time.time() + PATIENCE_S
    while True:
        rows = ActionTemplate.objects.exclude(ready_at=None).values_list("task_id", "ready_at")
        ready = {task_id: at.timestamp() for task_id, at in rows if at is not None}
        if ends.keys() <= ready.keys() or time.time() > give_up:
            break
        time.sleep(1)
    missing = len(ends.keys() - ready.keys())
    if missing:
        print(f"unknown_ends={missing}")
    return [ready.get(task_id, time.time()) - ended for task_id, ended in ends.items()]


def figures(first: Counted, last: Counted, late: list[float], pid: int, limit: int | None) -> dict[str, float]:
    """Everything of one case."""
    lasted = last.at - first.at
    gets, lists = (last.calls[name] - first.calls[name] for name in ("gets", "lists"))
    looks = gets + lists
    own = last.own_cpu_s - first.own_cpu_s
    rows, statements = (last.writes[name] - first.writes[name] for name in ("rows", "statements"))
    found = {
        "looks_per_s": looks / lasted,
        "gets_per_s": gets / lasted,
        "list_pages_per_s": lists / lasted,
        "throttled": last.throttled - first.throttled,
        "ends": len(late),
        "delay_median_s": statistics.median(late),
        "delay_p95_s": statistics.quantiles(late, n=20)[-1],
        "delay_max_s": max(late),
        "cpu_share": own / lasted,
        "queue_cpu_share": (last.queue_cpu_s - first.queue_cpu_s) / lasted,
        "cpu_s_per_1000_looks": 1000 * own / looks,
        "writes_per_look": rows / looks,
        "statements_per_look": statements / looks,
        "writes_per_task_seen": rows / (gets + 100 * lists),
        "rss_mb": rss_mb(pid),
    }
    return {"share_of_limit": looks / lasted / limit, **found} if limit else found


@contextmanager
def site(limit: int | None, tasks: int, folder: Path) -> Iterator[tuple[Sandbox, Path, dict[str, str]]]:
    """A sandbox with its tasks, and a data folder with their rows."""
    data = folder / "data"
    data.mkdir()
    sandbox = Sandbox(folder / "sandbox")
    try:
        sandbox.settings(running_tasks=100_000, queries_per_second=limit, skip_download=True)
        more = {"TEMPLATEGEN_SANDBOX_URL": sandbox.url, "DASHSCOPE_SLOTS": str(tasks), "LOG_LEVEL": "WARNING"}
        if limit is None:
            more["DASHSCOPE_QUERIES_PER_SECOND"] = "0"
        done = run(data, "migrate", "--verbosity=0", **more)
        assert done.returncode == 0, done.stderr
        point_django_at(data, more)
        half = (LONGEST_S - SHORTEST_S) / 2
        made = []
        while len(made) < tasks:
            order = {"count": min(5000, tasks - len(made)), "status": "RUNNING", "run_seconds": SHORTEST_S + half,
                     "run_spread": half}  # fmt: skip
            made += sandbox.control("POST", "tasks", order)["task_ids"]
        seed_rows(data, made)
        yield sandbox, data, more
    finally:
        sandbox.stop()


def point_django_at(data: Path, more: dict[str, str]) -> None:
    """This process reads the same database; it does so once, for settings do not change."""
    wanted = environment(data, **more)
    os.environ.clear()
    os.environ.update(wanted, DJANGO_SETTINGS_MODULE="templategen.settings")
    import django

    django.setup()


def one_case(limit: int | None, tasks: int, seconds: float) -> dict[str, Any]:
    """The worker's figures within ``limit`` queries a second."""
    with (
        tempfile.TemporaryDirectory(prefix="templategen-in-flight-") as name,
        site(limit, tasks, Path(name)) as (sandbox, data, more),
        running(data, "worker", **{**more, "DJANGO_SETTINGS_MODULE": "tests.benchmark.counting"}) as worker,
    ):
        pid = worker.process.pid
        time.sleep(WARM_UP_S)
        first = count(sandbox, data, pid)
        time.sleep(seconds)
        last = count(sandbox, data, pid)
        late = delays(known_ends(sandbox, first.at, last.at))
        if "Traceback" in worker.text:
            print(worker.text[-4000:], file=sys.stderr)
        return figures(first, last, late, pid, limit)


def main() -> None:
    """Both cases, each in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", choices=["limited", "unlimited"])
    wanted = parser.parse_args()
    if wanted.only:
        for name, value in one_case(LIMIT if wanted.only == "limited" else None, wanted.tasks, wanted.seconds).items():
            print(f"{wanted.only}_{name}={value:.3f}".rstrip("0").rstrip("."))
        return
    import subprocess

    for only in ("limited", "unlimited"):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", only], check=True)


if __name__ == "__main__":
    main()
