"""Clips through sites that are killed at random, over many seeds.

    python -m tests.chaos --seeds 20 --clips 10
    python -m tests.chaos --seeds 5 --clips 10 --database postgres --broker redis
    python -m tests.chaos --first 7 --seeds 1 --clips 10 --database sqlite --broker orm      (repeats one)

Without --database and --broker the seeds are dealt out over the four combinations. Exit status 1 where a promise was
broken; the data and logs of such a seed are kept, and the line that repeats it is printed.
"""

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.place import Prepared, prepared
from tests.chaos.seed import Outcome, run_seed
from tests.clips import clip_bytes

Combination = tuple[str, str]


def main() -> int:
    """Run the seeds and print what came of each."""
    asked = _parser().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="templategen-chaos-"))
    databases = [asked.database] if asked.database else ["sqlite", "postgres"]
    brokers = [asked.broker] if asked.broker else ["orm", "redis"]
    combinations = list(itertools.product(databases, brokers))
    begun = time.monotonic()
    clip_bytes()
    with ExitStack() as running:
        bases = {
            (database, broker): running.enter_context(
                prepared(folder / f"{database}-{broker}", database=database, broker=broker)
            )
            for database, broker in combinations
        }
        seeds = range(asked.first, asked.first + asked.seeds)
        jobs = [(seed, combinations[(seed - asked.first) % len(combinations)]) for seed in seeds]

        def one(job: tuple[int, Combination]) -> Outcome:
            return _one(bases[job[1]], folder, *job, asked)

        with ThreadPoolExecutor(asked.at_once) as pool:
            outcomes = list(pool.map(one, jobs))
    if all(outcome.good for outcome in outcomes) and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return _sum_up(outcomes, time.monotonic() - begun)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.split("\n", 1)[0])
    add = parser.add_argument
    add("--seeds", type=int, default=4, help="how many (4)")
    add("--first", type=int, default=1, help="the first seed (1)")
    add("--clips", type=int, default=10, help="clips a seed (10)")
    add("--mischief-seconds", type=float, default=10.0, help="at most so long things are killed (10)")
    add("--at-once", type=int, default=3, help="seeds at once (3)")
    add("--database", choices=["sqlite", "postgres"], help="both unless one is given")
    add("--broker", choices=["orm", "redis"], help="both unless one is given")
    add("--keep", action="store_true", help="keep the data of good seeds too")
    return parser


def _one(base: Prepared, folder: Path, seed: int, combination: Combination, asked: argparse.Namespace) -> Outcome:
    database, broker = combination
    outcome = run_seed(
        base, folder / f"seed-{seed}", seed,
        # Two worker commands in every second seed.
        clips=asked.clips, workers=1 + seed % 2, mischief_seconds=asked.mischief_seconds,
    )  # fmt: skip
    lines = f"{database:8} {broker:5} {outcome.told()}"
    if outcome.good and not asked.keep:
        shutil.rmtree(outcome.folder, ignore_errors=True)
    else:
        lines += (
            f"\n    repeat: python -m tests.chaos --first {seed} --seeds 1 --clips {asked.clips} --mischief-seconds "
            f"{asked.mischief_seconds:g} --database {database} --broker {broker}\n    logs: {outcome.folder}"
        )
    print(lines, flush=True)
    return outcome


def _sum_up(outcomes: list[Outcome], seconds: float) -> int:
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.verdict.counts)
        total["kills"] += sum(count for what, count in outcome.done.items() if what.startswith("kill"))
    bad = [outcome.seed for outcome in outcomes if not outcome.good]
    for name, count in sorted(total.items()):
        print(f"{name}={count}")
    print(f"seeds={len(outcomes)}\nbroken_seeds={len(bad)}\nseconds={seconds:.0f}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
