"""One seed: clips go through a site that is being killed; then all faults end, and the promises are looked at."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.client import Client, over_http
from tests.chaos.mischief import Mischief
from tests.chaos.place import QUICK, Person, Place, Prepared, place
from tests.chaos.site import Site
from tests.chaos.verdict import Verdict, is_moving, judge
from tests.clips import clip_bytes
from tests.ports import free_port
from tests.sandbox import Sandbox

UPLOAD_SECONDS = 200.0
CALM_SECONDS = 200.0
TROUBLE_SECONDS = 25.0
RUN_SECONDS = 0.3
# Between two clips of one person.
LONGEST_PAUSE_SECONDS = 3.0
LIST_LAG_SECONDS = 0.5


@dataclass
class Outcome:
    """What came of a seed."""

    seed: int
    verdict: Verdict
    seconds: float
    done: Counter[str]
    folder: Path
    troubles: int = 0
    late: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Every promise held, and every clip got through."""
        return self.verdict.good and not self.late

    def told(self) -> str:
        """One line, and one for each broken promise."""
        counts = " ".join(f"{name}={count}" for name, count in sorted(self.verdict.counts.items()))
        kills = sum(count for what, count in self.done.items() if what.startswith("kill"))
        faults = sum(count for what, count in self.done.items() if what.startswith("fault"))
        freezes = sum(count for what, count in self.done.items() if what.startswith("freeze"))
        line = (
            f"seed={self.seed} {'good' if self.good else 'BROKEN'} seconds={self.seconds:.1f} kills={kills} "
            f"freezes={freezes} faults={faults} client_retries={self.troubles} {counts}"
        )
        return "\n".join([line, *(f"    {text}" for text in [*self.late, *self.verdict.broken])])


@dataclass
class _Clients:
    """Browsers in threads, each of another account."""

    here: Place
    port: int
    seed: int
    finished: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    troubles: int = 0
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clips: int) -> None:
        people = self.here.prepared.people
        for number, person in enumerate(people):
            share = range(number, clips, len(people))
            thread = threading.Thread(target=self._upload, args=(person, share), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _upload(self, person: Person, numbers: range) -> None:
        client = Client(
            over_http(self.port, self.here.cookie(person)), person.slug, until=time.monotonic() + UPLOAD_SECONDS
        )
        chance = random.Random(f"{self.seed}/{person.slug}")
        for number in numbers:
            time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
            try:
                # Trailing bytes that no player minds: no two clips are the same.
                data = clip_bytes() + f"\0\0\0\x18free{self.seed:08d}{number:08d}".encode()
                self.finished.append(client.upload(f"seed-{self.seed}-clip-{number}.mp4", data))
            except TimeoutError as problem:
                self.late.append(f"clip {number}: {problem}")
        self.troubles += len(client.troubles)

    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)


def run_seed(base: Prepared, folder: Path, seed: int, *, clips: int, workers: int, mischief_seconds: float) -> Outcome:
    """Clips through a site in trouble; what came of it. ``folder`` keeps logs and data."""
    begun = time.monotonic()
    folder.mkdir(parents=True)
    port, sandbox_port = free_port(), free_port()
    # Two calls at once now and then: what they leave unanswered often cannot be told apart, and is a person's.
    slots = {"DASHSCOPE_SLOTS": "2" if seed % 5 == 0 else "1"}
    here = place(
        base, folder, seed,
        site_url=f"http://127.0.0.1:{port}", sandbox_url=f"http://127.0.0.1:{sandbox_port}", waits={**QUICK, **slots},
    )  # fmt: skip
    sandbox = Sandbox(folder / "sandbox", port=sandbox_port)
    site = Site(here, sandbox, port, workers=workers)
    try:
        sandbox.settings(run_seconds=RUN_SECONDS, list_lag_seconds=LIST_LAG_SECONDS, keep=True)
        site.start()
        clients = _Clients(here, port, seed)
        clients.start(clips)
        mischief = Mischief(site, seed)
        mischief.start()
        _wait(lambda: not clients.busy() and not _moving(here), mischief_seconds)
        mischief.relent()
        _wait(lambda: not clients.busy() and not _moving(here), TROUBLE_SECONDS)
        mischief.stop()
        _wait(lambda: not clients.busy(), UPLOAD_SECONDS)
        _wait(lambda: not _moving(here), CALM_SECONDS)
        verdict = judge(here.database, sandbox.tasks(), clients.finished)
    finally:
        site.stop()
        sandbox.stop()
    return Outcome(seed, verdict, time.monotonic() - begun, mischief.done, folder, clients.troubles, clients.late)


def _moving(here: Place) -> bool:
    return any(is_moving(row) for row in here.database.templates())


def _wait(condition: object, seconds: float) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.2)
