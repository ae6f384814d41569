"""Threads that make calls and nothing else: they touch no database, and nobody waits for a call that hangs."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from templategen.clients.dashscope import DashScope, DashScopeError, Task, TaskPage
from templategen.rates import Rate

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
# A thread with nothing to do ends after this long; a next call starts another.
_IDLE_SECONDS = 20.0
# More threads than these are not left hanging in calls without an end: then no further call is made until some end.
_MOST_HANGING = 60


class ClosedError(Exception):
    """The pool was closed before the call was made."""


class OverdueError(DashScopeError):
    """The call had no end: its time-outs count each read only, and an answer may drip for ever."""


class Asking:
    """A DashScope client whose questions wait for their turn within the rate. Used by the pool's threads."""

    def __init__(self, client: Callable[[], DashScope], rate: Rate, pool: "Pool") -> None:
        self._client = client
        self._rate = rate
        self._pool = pool

    @property
    def client(self) -> DashScope:
        """The client itself, for whoever calls ``wait`` before each question."""
        return self._client()

    def wait(self) -> None:
        """Wait for the next question's turn. Raises ClosedError when nobody wants to know any more."""
        wait = self._rate.reserve()
        self._pool.begin_question(after=wait)
        if self._pool.closed.wait(wait):
            raise ClosedError

    def get_task(self, task_id: str) -> Task:
        """As DashScope.get_task."""
        self.wait()
        return self._client().get_task(task_id)

    def list_tasks(self, *, page: int, page_size: int) -> TaskPage:
        """As DashScope.list_tasks."""
        self.wait()
        return self._client().list_tasks(page=page, page_size=page_size)


@dataclass(eq=False)
class _Call:
    """What one thread is at; ``begun_at``: its present question, by the pool's clock."""

    future: "Future[Any]"
    begun_at: float
    given_up: bool = False


class Pool:
    """At most ``size`` calls at once. Its threads are daemons: a call that hangs keeps no process from ending.

    ``done`` is called, from one of its threads, whenever everything that was given has come back.
    """

    def __init__(
        self, size: int, *, name: str, done: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = size
        self._name = name
        self._done = done
        self._clock = clock
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._hanging = 0
        self._open = 0
        # By thread, without those that were given up.
        self._at_work: dict[int, _Call] = {}
        self.closed = threading.Event()

    @property
    def open(self) -> int:
        """Calls that were given and have not come back."""
        return self._open

    def submit(self, call: Callable[[], _T]) -> "Future[_T]":
        """Have ``call`` made by a thread."""
        future: Future[_T] = Future()
        with self._lock:
            self._open += 1
            self._calls.put((future, call))
            self._start_threads()
        return future

    def close(self) -> None:
        """Make no further call; those under way end by themselves, and nobody hears of them."""
        self.closed.set()

    def begin_question(self, *, after: float) -> None:
        """The calling thread asks its next question after so many seconds: its time counts from then.

        Raises ClosedError where it was given up: nobody waits for what it would learn.
        """
        with self._lock:
            call = self._at_work.get(threading.get_ident())
            if call is None:
                raise ClosedError
            call.begun_at = self._clock() + after

    def give_up(self, *, after: float) -> int:
        """Give up questions that were begun more than ``after`` seconds ago; how many. Others get their threads.

        Their futures raise OverdueError. A thread that hangs ends with its call, whenever that is.
        """
        with self._lock:
            bound = self._clock() - after
            overdue = {thread: call for thread, call in self._at_work.items() if call.begun_at < bound}
            for thread, call in overdue.items():
                del self._at_work[thread]
                call.given_up = True
                self._threads -= 1
                self._hanging += 1
                self._open -= 1
            self._start_threads()
        for call in overdue.values():
            call.future.set_exception(OverdueError("no end of the answer"))
        return len(overdue)

    def _start_threads(self) -> None:
        """As many as there is work for. With the lock."""
        while self._threads < min(self._size, self._open) and self._hanging < _MOST_HANGING:
            try:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            except RuntimeError:
                # The machine has none to spare: what waits is for those that there are, or for the next attempt.
                logger.warning("no further thread for calls", extra={"pool": self._name, "threads": self._threads})
                return
            self._threads += 1

    def _work(self) -> None:
        while True:
            try:
                future, make = self._calls.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    # Given between the two: somebody has to be there for it.
                    if not self._calls.empty():
                        continue
                    self._threads -= 1
                    return
            if not self._carry_out(future, make if not self.closed.is_set() else _refuse):
                return

    def _carry_out(self, future: "Future[Any]", make: Callable[[], Any]) -> bool:
        """Make the call; False when it was given up meanwhile, and another thread is in this one's place."""
        thread, call = threading.get_ident(), _Call(future, self._clock())
        with self._lock:
            self._at_work[thread] = call
        result: Any = None
        problem: BaseException | None = None
        try:
            result = make()
        except BaseException as raised:  # noqa: BLE001 -- whoever takes the result hears of it
            problem = raised
        with self._lock:
            if call.given_up:
                self._hanging -= 1
                self._start_threads()
                return False
            del self._at_work[thread]
        if problem is None:
            future.set_result(result)
        else:
            future.set_exception(problem)
        with self._lock:
            self._open -= 1
            idle = self._open == 0
        if idle:
            self._done()
        return True


def _refuse() -> None:
    raise ClosedError
