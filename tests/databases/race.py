"""One of several processes that want the last units of one account's quota.

    python -m tests.databases.race SLUG --threads 12 --tries 5 --at EPOCH_SECONDS [--end]

From the moment ``--at`` on each thread holds so many times. With ``--end`` every second hold that was won is settled
or released by another thread than won it, twice, and then as many are tried again. Prints as JSON what was won and
refused, and when the first round of holds began and ended.
"""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import django


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("slug")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--at", type=float, default=0.0)
    parser.add_argument("--end", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Wait for the others, race, print."""
    asked = _asked()
    django.setup()
    from django.db import connections

    from accounts import ledger
    from accounts.models import Account

    account = Account.objects.get(slug=asked.slug).pk
    connections.close_all()

    def hold(job: tuple[int, int]) -> str | None:
        reference = f"template:{os.getpid()}-{job[0]}-{job[1]}:1"
        try:
            ledger.hold(account, reference, milliseconds=1000)
        except ledger.OverLimitError:
            return None
        return reference

    def end(job: tuple[int, str]) -> str:
        number, reference = job
        for _ in range(2):
            if number % 4:
                ledger.release(account, reference)
            else:
                ledger.settle(account, reference, milliseconds=900)
        return "settled" if number % 4 == 0 else "released"

    told = {}
    with ThreadPoolExecutor(asked.threads) as pool:
        # Connections are opened before the race begins.
        list(pool.map(lambda _: Account.objects.count(), range(asked.threads * 4)))
        time.sleep(max(asked.at - time.time(), 0))
        told["begun"] = time.time()
        held = list(pool.map(hold, [(1, number) for number in range(asked.threads * asked.tries)]))
        told["ended"] = time.time()
        won = [reference for reference in held if reference]
        if asked.end:
            ends = list(pool.map(end, enumerate(won[::2])))
            again = list(pool.map(hold, [(2, number) for number in range(asked.threads * asked.tries)]))
            told |= {what: ends.count(what) for what in ("settled", "released")}
            won += [reference for reference in again if reference]
            held += again
        list(pool.map(lambda _: connections.close_all(), range(asked.threads * 4)))
    print(json.dumps({**told, "won": len(won), "refused": held.count(None)}))


if __name__ == "__main__":
    main()
