"""One of several processes that want the same lease, and count what is counted under it.

    python -m tests.databases.contend SECONDS

The counter is read and written in two steps, as no two may do at once: with two holders at a time counts would be lost.
Prints as JSON how often this process counted, and how often it got the lease from another.
"""

import json
import sys
import time
from datetime import timedelta

import django


def main(seconds: float) -> None:
    """Want it, hold it for a moment, count, and now and then let it run out without a word."""
    django.setup()
    from django.db import transaction

    from templategen.lease import LeaseHolder
    from templategen.pipeline_models import Tally

    counted = taken = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        holder = LeaseHolder("contended", length=timedelta(seconds=0.15))
        if not holder.acquire():
            time.sleep(0.005)
            continue
        taken += 1
        for _ in range(3):
            with transaction.atomic():
                # Fencing: within this transaction nobody else can take it.
                if not holder.renew():
                    break
                count = Tally.objects.get(name="contended").count
                time.sleep(0.01)
                Tally.objects.filter(name="contended").update(count=count + 1)
            counted += 1
        if taken % 2:
            holder.release()
        else:
            # Frozen, as it were: the lease is lost by time alone, and waking up late counts for nothing.
            time.sleep(0.2)
            with transaction.atomic():
                if holder.renew():
                    raise SystemExit("held a lease that had run out")
    print(json.dumps({"counted": counted, "taken": taken}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
