"""A few threads for the work that takes its time: download and check of clips."""

import queue
import threading
from collections.abc import Callable

from templategen.sandbox.dashscope.tasks import Task


class Pool:
    """Threads that are started when they are first needed. None of them keeps the process from ending."""

    def __init__(self, work: Callable[[Task], None], size: int) -> None:
        self._work = work
        self._size = size
        self._waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._busy = 0

    def put(self, task: Task) -> None:
        """Have it worked on, after those that came before; `work` must not raise."""
        self._waiting.put(task)
        with self._lock:
            if self._threads < self._size and self._busy + self._waiting.qsize() > self._threads:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"check-{self._threads}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            task = self._waiting.get()
            with self._lock:
                self._busy += 1
            self._work(task)
            with self._lock:
                self._busy -= 1
