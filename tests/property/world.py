"""The product's processes without processes: jobs, conductors and people, one step after the other.

Several are at work "at once" by taking turns: whatever leaves the machine is a moment at which others may act
(``Process.meanwhile``), and a process may end at any of its queries as by SIGKILL: nothing of it runs any more, what it
had committed stays, an open transaction is rolled back.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.utils.module_loading import import_string

from templategen import conductor, pipeline, reconcile, sender, sweep, tally
from templategen.actions import queue as ringing
from templategen.clients import build
from templategen.clients.dashscope import Task
from templategen.conductor import Conductor
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate, Clip
from templategen.pipeline import submit
from templategen.pipeline_models import CredentialStatus, Lease, Tally, Turn
from templategen.states import State
from templategen.video.facts import Finding
from templategen.video.probe import Probe
from templategen.video.source import SourceError
from templategen.watch import ClosedError, Pool, Watcher, watcher
from tests.property.clock import Clock, rule_time
from tests.property.service import FAULTS, REFUSALS, Bucket, Service

_CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT")
_BROKEN = Finding("fps", "fail", 10.0, {"min": 24}, "too_low")


class KilledError(BaseException):
    """SIGKILL: nobody catches it."""


@dataclass(frozen=True)
class Message:
    """What lies in the queue."""

    job: str
    arguments: dict[str, Any]


@dataclass
class Process:
    """Who acts. ``machine``: "here", where it can be seen whether it is gone, or "there"."""

    identity: str = ""
    # How its paid call ends; for how many seconds its task comes later, and is not listed.
    outcome: str = "accepted"
    later: float = 0.0
    lag: float = 0.0
    # What others do before its first call has any effect, and before its answer is read.
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    # Asleep for so many seconds between the storing of its claim and its call.
    asleep: float = 0.0
    # Ends before its query of this number; 0: it does not.
    dies_at: int = 0
    queries: int = 0
    is_dead: bool = False


class Answers(Pool):
    """A watcher's calls without its threads: they are made when the test says so."""

    def _start_threads(self) -> None:
        return

    def come(self) -> None:
        """Every call is made and answered."""
        while not self._calls.empty():
            future, make = self._calls.get_nowait()
            self._carry_out(future, make if not self.closed.is_set() else _refuse)


def _refuse() -> None:
    raise ClosedError


class World:
    """Everything but the rows: time, the services, the queue, who runs."""

    def __init__(self, *, ahead: float, tells_time: bool, meanwhile: Callable[[str, Process], None]) -> None:
        self.clock = Clock()
        self.bucket = Bucket()
        self.service = Service(
            self.clock, ahead=timedelta(seconds=ahead), tells_time=tells_time, calling=lambda _call: self._moment()
        )
        self.service.on_submit = self._submit
        self.queue: list[Message] = []
        self.told: list[Message] = []
        self.stack: list[Process] = []
        self.gone: set[str] = set()
        self.viewpoint = "here"
        # Claim tokens with which a paid call was begun.
        self.calls: set[str] = set()
        self.broken_clips: set[str] = set()
        # How many were handed over; set back by who counts.
        self.claimed = 0
        self._meanwhile = meanwhile
        self._numbers = count(1)
        self._pools: list[Answers] = []
        self.conductors: list[Conductor] = []

    def begin(self) -> None:
        """Nothing is there yet."""
        for model in (ActionTemplate, Clip, CredentialStatus, Turn, Lease, Tally):
            model.objects.all().delete()
        cache.clear()
        tally.forget()
        self.conductors = [Conductor(), Conductor()]

    # --- processes ---

    def process(self, machine: str = "here", **values: Any) -> Process:
        """A process that is about to run."""
        return Process(f"{machine}/{next(self._numbers)}", **values)

    def run(self, process: Process, work: Callable[[], object]) -> bool:
        """Let it do its work; False where it was killed or told to stop in the middle."""
        self.stack.append(process)
        try:
            work()
        except KilledError:
            process.is_dead = True
        except SystemExit:
            process.is_dead = True
        finally:
            self.stack.pop()
        if process.is_dead:
            self.gone.add(process.identity)
        return not process.is_dead

    def around_query(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Here a process ends."""
        process = self.stack[-1] if self.stack else None
        if process is not None and not sql.startswith(_CONTROL):
            process.queries += 1
            if process.is_dead or process.queries == process.dies_at:
                process.is_dead = True
                raise KilledError
        return execute(sql, params, many, context)

    def _moment(self) -> None:
        """Something leaves the machine: others may act."""
        if self.stack:
            process = self.stack[-1]
            names, process.before = process.before, []
            self._others(process, names)

    def _others(self, process: Process, names: list[str]) -> None:
        for name in names:
            self._meanwhile(name, process)

    # --- the queue ---

    def ring(self, func: str, **arguments: Any) -> None:
        """In place of ``async_task``."""
        message = Message(func, arguments)
        self.queue.append(message)
        self.told.append(message)

    def deliver(self, message: Message, process: Process) -> bool:
        """Run a message; False where its worker died of it."""
        return self.run(process, lambda: import_string(message.job)(**message.arguments))

    # --- the paid call ---

    def me(self) -> str:
        """In place of ``sender.me``."""
        process = self.stack[-1]
        if process.asleep:
            self.clock.jump(process.asleep)
        return process.identity

    def is_gone(self, identity: str) -> bool | None:
        """In place of ``sender.is_gone``, as seen from ``viewpoint``."""
        machine = identity.partition("/")[0]
        return identity in self.gone if machine == self.viewpoint else None

    def _submit(self, key: str) -> Task:
        process = self.stack[-1]
        row = ActionTemplate.objects.get(clip__object_key=key)
        assert row.state == State.SUBMITTING, f"a paid call for a row that is {row.state}"
        assert row.sent_at is not None, "a paid call that no row knows of"
        assert row.claimed_by == process.identity, "a paid call by another's claim"
        assert row.deleted_at is None, "a paid call for a deleted row"
        assert row.claim_token not in self.calls, "two paid calls with one claim"
        self.calls.add(row.claim_token)
        self._moment()
        try:
            return self._answer(key, row.attempt, process)
        finally:
            self._others(process, process.after)

    def _answer(self, key: str, attempt: int, process: Process) -> Task:
        outcome = process.outcome
        if outcome == "killed before":
            process.is_dead = True
            raise KilledError
        if outcome in REFUSALS:
            raise REFUSALS[outcome]()
        if outcome == "told to stop before":
            raise SystemExit
        if outcome == "server error, not made":
            raise FAULTS["server error"]()
        later = process.later if outcome != "accepted" else 0.0
        made = self.service.make(key, attempt, later=later, lag=process.lag)
        if outcome == "accepted":
            return Task(made.task_id, made.word, request_id=made.request_id)
        if outcome == "server error, made":
            problem = FAULTS["server error"]()
            problem.request_id = made.request_id  # type: ignore[attr-defined]
            raise problem
        if outcome == "told to stop after":
            raise SystemExit
        if outcome == "killed after":
            process.is_dead = True
            raise KilledError
        assert outcome == "no answer", outcome
        raise FAULTS["no answer"]()

    # --- the check ---

    def probe(self, key: str) -> Probe:
        """In place of ``video.probe.probe``: a good clip, or one that breaks a limit, or no bytes."""
        self._moment()
        if self.bucket.fails:
            self.bucket.fails -= 1
            raise SourceError("no bytes")
        return Probe(None, (_BROKEN,) if key in self.broken_clips else (), None)

    # --- the conductor's and the sweep's steps ---

    def conduct(self, which: int, *, asleep: bool = False, dies_at: int = 0) -> None:
        """A pass. ``asleep``: it froze in the middle of the last one and does not know that its lease is over."""
        one = self.conductors[which]
        process = self.process(dies_at=dies_at)

        def work() -> None:
            if asleep or one._hold():
                one.one_pass()

        if not self.run(process, work):
            self.conductors[which] = Conductor()

    def answers_come(self) -> None:
        """The looks and lists that are under way are answered."""
        for pool in self._pools:
            pool.come()

    def pool(self, *args: Any, **kwargs: Any) -> Answers:
        """For a watcher."""
        self._pools.append(Answers(*args, **kwargs))
        return self._pools[-1]

    def sweep(self) -> None:
        """As ``manage.py sweep`` and each conductor do it."""
        self.run(self.process(), lambda: sweep.once(now=self.clock.now()))

    def bury(self, machine: str) -> None:
        """A worker command of that machine looks for senders that are gone."""
        self.viewpoint = machine
        reconcile.bury_senders(now=self.clock.now())
        self.viewpoint = "here"


class Seams:
    """Where the product meets the world: sewn once for a test, ``world`` is a new one for each run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world: World | None = None
        self._leave(monkeypatch)
        self._sleep(monkeypatch)

    @property
    def world(self) -> World:
        """The present one."""
        assert self._world is not None
        return self._world

    def enter(self, world: World) -> None:
        """Let the product live in ``world`` from now on."""
        self._world = world
        build.forget()
        world.begin()

    def _leave(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What leaves the process."""
        check = sys.modules["templategen.pipeline.check"]
        monkeypatch.setattr(build, "DashScope", lambda **_settings: self.world.service)
        monkeypatch.setattr(build, "Storage", lambda **_settings: self.world.bucket)
        monkeypatch.setattr(ringing, "async_task", self._of_the_world("ring"))
        monkeypatch.setattr(sweep, "queue_size", lambda: len(self.world.queue))
        monkeypatch.setattr(sender, "me", self._of_the_world("me"))
        monkeypatch.setattr(sender, "is_gone", self._of_the_world("is_gone"))
        monkeypatch.setattr(check, "probe", self._of_the_world("probe"))
        monkeypatch.setattr(check, "_object_source", lambda clip: clip.object_key)
        monkeypatch.setattr(pipeline, "claim_submit", self._count_claims(pipeline.claim_submit))
        monkeypatch.setattr(watcher, "Pool", self._of_the_world("pool"))

    def around_query(self, execute: Callable[..., Any], *call: Any) -> Any:
        """A wrapper for ``connection.execute_wrapper``."""
        return self.world.around_query(execute, *call) if self._world else execute(*call)

    def _of_the_world(self, name: str) -> Callable[..., Any]:
        """The function of that name of whichever world there then is."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.world, name)(*args, **kwargs)

        return call

    def _count_claims(self, claim: Callable[..., str | None]) -> Callable[..., str | None]:
        def counted(template: ActionTemplate, *, now: datetime) -> str | None:
            token = claim(template, now=now)
            self.world.claimed += token is not None
            return token

        return counted

    def _sleep(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Time."""

        def now() -> datetime:
            return self.world.clock.now()

        def seconds() -> float:
            return self.world.clock.seconds()

        rule_time(now, monkeypatch)
        monkeypatch.setattr(submit, "_awake", seconds)
        monkeypatch.setattr(conductor, "time", SimpleNamespace(monotonic=seconds))
        monkeypatch.setattr(conductor, "Watcher", partial(Watcher, clock=seconds))
        monkeypatch.setattr(conductor, "LeaseHolder", partial(LeaseHolder, clock=seconds))
