"""Processes that hold quota of one account at once: how many holds a second, and whether any is sold twice.

    python tests/benchmark/quota_race.py [--processes 8] [--limit 1000] [--only sqlite|postgresql]

All processes want units of the same account (so that all wait for the same row), together half as many again as the
limit has room for. Prints for each database ``sqlite_…`` and ``postgresql_…``:

- ``holds_per_s``: holds that were won, from the first process's first try to the last one's last
- ``tries_per_s``: refused ones counted too
- ``won``, ``refused``: beyond the limit nothing may be won
- ``oversold``: units held beyond the limit, by the counters and by the entries, whichever is more
- ``uneven``: counters that are not the sum of their entries
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.chaos.rows import Database, sqlite_url
from tests.running import ROOT, environment, run
from tests.servers import postgres

START_SECONDS = 8.0
SETUP = (
    "from accounts.models import Account, Quota; a = Account.objects.create(name='Race', slug='race'); "
    "Quota.objects.create(account=a, templates_per_month={limit})"
)


@contextmanager
def site(database: str) -> Iterator[tuple[Path, dict[str, str], Database]]:
    """A migrated database: the data folder, what its processes have in their environment, and how to read it."""
    with ExitStack() as running:
        data = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="templategen-race-")))
        url = running.enter_context(postgres()) if database == "postgresql" else sqlite_url(data / "sandbox.sqlite3")
        more = {"DATABASE_URL": url} if database == "postgresql" else {}
        must(data, "migrate", "--verbosity", "0", **more)
        yield data, more, Database(url)


def must(data: Path, *arguments: str, **more: str) -> None:
    """A management command that has to end well."""
    done = run(data, *arguments, **more)
    assert done.returncode == 0, done.stderr


def race(database: str, *, processes: int, limit: int) -> None:
    """Print what came of it."""
    tries = limit * 3 // 2 // processes
    with site(database) as (data, more, rows):
        must(data, "shell", "-c", SETUP.format(limit=limit), **more)
        surroundings = environment(data, **{"DJANGO_SETTINGS_MODULE": "templategen.settings", **more})
        at = str(time.time() + START_SECONDS)
        command = [sys.executable, "-m", "tests.databases.race", "race", "--tries", str(tries), "--at", at]
        started = [
            subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        told = [json.loads(process.communicate(timeout=600)[0]) for process in started]
        seconds = max(one["ended"] for one in told) - min(one["begun"] for one in told)
        won, refused = sum(one["won"] for one in told), sum(one["refused"] for one in told)
        [counter] = rows.rows("SELECT templates_held AS held, templates_used AS used FROM accounts_usagemonth")
        [entries] = rows.rows("SELECT SUM(templates_held + templates_used) AS total FROM accounts_ledgerentry")
        uneven = run(data, "rebuild_usage", "--check", **more).returncode
    held = max(counter["held"] + counter["used"], int(entries["total"]), won)
    figures = {
        "processes": processes,
        "holds_per_s": f"{won / seconds:.0f}",
        "tries_per_s": f"{(won + refused) / seconds:.0f}",
        "won": won,
        "refused": refused,
        "oversold": max(held - limit, 0),
        "uneven": int(uneven != 0),
    }
    for name, value in figures.items():
        print(f"{database}_{name}={value}", flush=True)


def main() -> None:
    """Both databases, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    print(f"load={os.getloadavg()[0]:.1f}")
    for database in [asked.only] if asked.only else ["sqlite", "postgresql"]:
        race(database, processes=asked.processes, limit=asked.limit)


if __name__ == "__main__":
    main()
