"""Many clips checked and queued at once, while somebody looks at the gallery.

    python tests/benchmark/burst.py [--clips 500] [--pace 2]

The clips are uploaded first, through the product's own upload code, with no worker there: each lies in the bucket, its
row is CHECKING, its message waits in the queue. Then `manage.py worker` starts. Figures, `name=value`:

- `clips_per_minute`: from the worker's start (its start-up included) until every row has been checked and is QUEUED.
- `page_p50_ms`, `page_p95_ms`: the gallery page (gunicorn, one process) meanwhile, asked for `--pace` times a second
  over one connection; `idle_p50_ms`, `idle_p95_ms`: the same before, with the same rows and nothing to do.
- `passed`: how many passed the check (all, or the run fails). `errors`: pages that were not answered with 200.
- `upload_s`: what the uploads took, one after the other.

The sandbox starts no task meanwhile: on a real site that work is not this machine's.
"""

import argparse
import http.client
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser.site import Person, Site
from tests.clips import make_clip

IDLE_SECONDS = 15.0
MOST_SECONDS = 1800.0
DIFFERENT_CLIPS = 10


@dataclass
class Visitor:
    """Asks for one page at a steady pace: each request has its own moment, however long the one before took."""

    site: Site
    person: Person
    pace: float
    taken_ms: list[float] = field(default_factory=list)
    errors: int = 0

    def look_until(self, stop: threading.Event) -> None:
        """Page after page over one connection."""
        address = urlsplit(self.site.gallery(self.person))
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        headers = {"Cookie": f"{self.site.cookie}={self.person.session}"}
        due = time.perf_counter()
        while not stop.wait(max(due - time.perf_counter(), 0)):
            # From the moment when it was due: a visitor who has to wait behind a slow page waits too.
            began, due = due, due + 1 / self.pace
            try:
                connection.request("GET", address.path, headers=headers)
                answer = connection.getresponse()
                self.errors += answer.status != 200 or not answer.read()
            except (OSError, http.client.HTTPException):
                self.errors += 1
                connection.close()
            self.taken_ms.append((time.perf_counter() - began) * 1000)
        connection.close()


@contextmanager
def visited(site: Site, person: Person, pace: float) -> Iterator[Visitor]:
    """Somebody looks at the gallery as long as the block lasts."""
    visitor, stop = Visitor(site, person, pace), threading.Event()
    thread = threading.Thread(target=visitor.look_until, args=(stop,), daemon=True)
    thread.start()
    yield visitor
    stop.set()
    thread.join(60)


def show(name: str, visitor: Visitor) -> None:
    """Median and 95th percentile."""
    print(f"{name}_p50_ms={statistics.median(visitor.taken_ms):.0f}")
    print(f"{name}_p95_ms={statistics.quantiles(visitor.taken_ms, n=20)[-1]:.0f}", flush=True)


def upload_all(person: Person, folder: Path, count: int) -> None:
    """Everything up to CHECKING."""
    from accounts.models import Account
    from templategen import actions

    account = Account.objects.get(slug=person.slug)
    clips = [
        make_clip(
            folder / f"{number}.mp4", width=720, height=1280, seconds=3 + number, noise=number % 2 == 1,
            bitrate=2_000_000, faststart=number % 4 > 1,
        )
        for number in range(DIFFERENT_CLIPS)
    ]  # fmt: skip
    print(f"clip_bytes_mean={statistics.mean(clip.stat().st_size for clip in clips):.0f}", flush=True)
    began = time.monotonic()
    for number in range(count):
        clip = clips[number % len(clips)]
        with clip.open("rb") as file:
            actions.upload_file(
                account, by=None, file=file, size_bytes=clip.stat().st_size, file_name=f"clip-{number}.mp4"
            )
    print(f"upload_s={time.monotonic() - began:.1f}", flush=True)


def states() -> Counter[str]:
    """How many rows are in which state."""
    from templategen.models import ActionTemplate

    return Counter(ActionTemplate.objects.values_list("state", flat=True))


def wait_until_checked(count: int) -> float:
    """Seconds until no row waits for its check any more."""
    began = time.monotonic()
    while (found := states()).get("checking", 0):
        assert time.monotonic() - began < MOST_SECONDS, found
        time.sleep(0.5)
    seconds = time.monotonic() - began
    assert found["blocked"] == 0, found
    assert sum(found.values()) == count, found
    print(f"passed={count - found['blocked']}")
    return seconds


def measure(site: Site, folder: Path, count: int, pace: float) -> None:
    """Upload, look while nothing happens, start the worker, look while it works."""
    person = site.person()
    upload_all(person, folder, count)
    assert states() == {"checking": count}, states()
    with visited(site, person, pace) as idle:
        time.sleep(IDLE_SECONDS)
    with visited(site, person, pace) as busy:
        site._start("manage.py", "worker")
        seconds = wait_until_checked(count)
    print(f"seconds={seconds:.1f}\nclips_per_minute={count / seconds * 60:.0f}")
    show("page", busy)
    show("idle", idle)
    print(f"errors={idle.errors + busy.errors}")


def main() -> None:
    """A site without a worker, then with one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--pace", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="templategen-burst-") as name:
        folder = Path(name)
        site = Site(folder, people=1, with_worker=False)
        try:
            site.sandbox.settings(running_tasks=0)
            os.environ.update(site._environment)
            import django

            django.setup()
            print(f"clips={options.clips}")
            measure(site, folder, options.clips, options.pace)
        finally:
            site.stop()


if __name__ == "__main__":
    main()
