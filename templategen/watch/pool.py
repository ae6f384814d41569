"""Threads that make calls and nothing else: they touch no database, and nobody waits for a call that hangs."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from templategen.clients.dashscope import DashScope, Task, TaskPage
from templategen.rates import Rate

_T = TypeVar("_T")
# A thread with nothing to do ends after this long; a next call starts another.
_IDLE_SECONDS = 20.0


class ClosedError(Exception):
    """The pool was closed before the call was made."""


class Asking:
    """A DashScope client whose questions wait for their turn within the rate. Used by the pool's threads."""

    def __init__(self, client: Callable[[], DashScope], rate: Rate, closed: threading.Event) -> None:
        self._client = client
        self._rate = rate
        self._closed = closed

    @property
    def client(self) -> DashScope:
        """The client itself, for whoever calls ``wait`` before each question."""
        return self._client()

    def wait(self) -> None:
        """Wait for the next question's turn. Raises ClosedError when nobody wants to know any more."""
        if self._closed.wait(self._rate.reserve()):
            raise ClosedError

    def get_task(self, task_id: str) -> Task:
        """As DashScope.get_task."""
        self.wait()
        return self._client().get_task(task_id)

    def list_tasks(self, *, page: int, page_size: int) -> TaskPage:
        """As DashScope.list_tasks."""
        self.wait()
        return self._client().list_tasks(page=page, page_size=page_size)


class Pool:
    """At most ``size`` calls at once. Its threads are daemons: a call that hangs keeps no process from ending.

    ``done`` is called, from one of its threads, whenever everything that was given has come back.
    """

    def __init__(self, size: int, *, name: str, done: Callable[[], None]) -> None:
        self._size = size
        self._name = name
        self._done = done
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._open = 0
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
            if self._threads < min(self._size, self._open):
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def close(self) -> None:
        """Make no further call; those under way end by themselves, and nobody hears of them."""
        self.closed.set()

    def _work(self) -> None:
        while True:
            try:
                future, call = self._calls.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    # Given between the two: somebody has to be there for it.
                    if not self._calls.empty():
                        continue
                    self._threads -= 1
                    return
            self._carry_out(future, call if not self.closed.is_set() else _refuse)

    def _carry_out(self, future: "Future[Any]", call: Callable[[], Any]) -> None:
        try:
            result = call()
        except BaseException as problem:  # noqa: BLE001 -- whoever takes the result hears of it
            future.set_exception(problem)
        else:
            future.set_result(result)
        with self._lock:
            self._open -= 1
            idle = self._open == 0
        if idle:
            self._done()


def _refuse() -> None:
    raise ClosedError
