"""Carries tasks out: first come, first served, so many at once per Alibaba account.

One thread for all of them: it knows when the next one ends and sleeps until then. Ten thousand running tasks are ten
thousand entries of a heap. Only download and check, which take their time, have threads of their own.
"""

import hashlib
import heapq
import logging
import queue
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from templategen.sandbox.checks import check_file
from templategen.sandbox.config import LiveSettings
from templategen.sandbox.dashscope.download import download
from templategen.sandbox.dashscope.index import Place
from templategen.sandbox.dashscope.pool import Pool
from templategen.sandbox.dashscope.tasks import COMING, Outcome, Task, Tasks
from templategen.sandbox.faults import Fault, Faults

log = logging.getLogger(__name__)

_CHECKS_AT_ONCE = 16
_LONGEST_SLEEP = 1.0
_BATCH = 500
UNSEEN_SECONDS = 10.0
"""The length of a clip that was not looked at (setting `skip_download`)."""


class Runner:
    """Hands out slots, and ends each task when its time is over."""

    def __init__(self, tasks: Tasks, settings: LiveSettings, faults: Faults, folder: Path, seed: str | None) -> None:
        self._tasks = tasks
        self._settings = settings
        self._faults = faults
        self._folder = folder
        self._seed = seed or ""
        self._stopping = False
        self._woken = threading.Event()
        self._pool = Pool(self._look_at_clip, _CHECKS_AT_ONCE)
        # From other threads: tasks that run and are checked, and tasks that are to appear later.
        self._ready: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._expected: queue.SimpleQueue[Place] = queue.SimpleQueue()
        self._coming: list[Place] = []
        # Extra seconds by number of each task whose end is known, and a heap of these (end, number).
        self._extra: dict[int, float] = {}
        self._ends: list[tuple[float, int]] = []
        self._planned_for = self._run_time_settings()

    def start(self) -> None:
        """Go on with what was running when the process ended, then serve the queue."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left_over in self._folder.iterdir():
            left_over.unlink(missing_ok=True)
        for task in self._tasks.all():
            if task.status == "RUNNING":
                self._begin(task)
            elif task.status == COMING:
                heapq.heappush(self._coming, task.place)
        self._settings.on_change(self.wake)
        threading.Thread(target=self._serve, name="runner", daemon=True).start()

    def stop(self) -> None:
        """Leave everything as it is; a later start goes on from there."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """Look at the queue now: a task was submitted, or a setting changed."""
        self._woken.set()

    def expect(self, task: Task) -> None:
        """A task that will be there only later, at its `submitted`."""
        self._expected.put(task.place)
        self.wake()

    def take_over(self, tasks: Iterable[Task]) -> None:
        """Tasks that were made running and checked."""
        for task in tasks:
            self._ready.put(task.seq)
        self.wake()

    def _serve(self) -> None:
        while not self._stopping:
            try:
                done = self._one_pass()
            except Exception:
                log.exception("the runner stumbled")
                time.sleep(_LONGEST_SLEEP)
                done = False
            if not done:
                self._woken.wait(self._pause())
                self._woken.clear()

    def _one_pass(self) -> bool:
        """Whether anything happened, so that there may be more to do."""
        if self._planned_for != self._run_time_settings():
            self._plan_anew()
        while not self._ready.empty():
            self._plan(self._tasks.by_number(self._ready.get()))
        while not self._expected.empty():
            heapq.heappush(self._coming, self._expected.get())
        appeared = self._let_appear()
        ended = self._end_due()
        return self._fill_slots() or ended or appeared

    def _pause(self) -> float:
        """Seconds until something is due, as far as is known."""
        due = [heap[0][0] for heap in (self._ends, self._coming) if heap]
        return min([_LONGEST_SLEEP, *(max(moment - time.time(), 0.0) for moment in due)])

    def _let_appear(self) -> bool:
        some = False
        while self._coming and self._coming[0][0] <= time.time():
            self._tasks.appear(self._tasks.by_number(heapq.heappop(self._coming)[1]))
            some = True
        return some

    def _fill_slots(self) -> bool:
        found = self._tasks.next_in_line(self._settings.value.running_tasks)[:_BATCH]
        if not found:
            return False
        with self._tasks.together():
            started = [running for task in found if (running := self._tasks.schedule(task))]
        for task in started:
            self._begin(task)
        return True

    def _begin(self, task: Task) -> None:
        """A task runs now, or did when the process ended."""
        if not task.checked and self._settings.value.skip_download:
            self._tasks.record_check(task, Outcome(duration=UNSEEN_SECONDS))
        elif not task.checked:
            self._pool.put(task)
            return
        self._plan(task)

    def _look_at_clip(self, task: Task) -> None:
        """Download and check, in a thread of the pool."""
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder) as file:
                path = Path(file.name)
                problem = download(task.video_url, path, self._settings.value.download_seconds)
                outcome = problem or check_file(path)
            self._tasks.record_check(task, outcome)
        except Exception:
            log.exception("a task broke the sandbox", extra={"task": task.task_id})
            self._tasks.record_check(task, Outcome(code="InternalError", message="An internal error has occured."))
        self.take_over([task])

    # --- When tasks end ---

    def _run_time_settings(self) -> tuple[float, float]:
        settings = self._settings.value
        return settings.run_seconds, settings.run_spread

    def _plan(self, task: Task) -> None:
        fault = self._fault(task, "slow")
        self._extra[task.seq] = fault.seconds if fault else 0.0
        heapq.heappush(self._ends, (self._end(task), task.seq))

    def _plan_anew(self) -> None:
        """A change of the run time counts at once, for those that run too."""
        self._planned_for = self._run_time_settings()
        self._ends = [(self._end(self._tasks.by_number(seq)), seq) for seq in self._extra]
        heapq.heapify(self._ends)

    def _end(self, task: Task) -> float:
        """When a running task ends, in epoch seconds."""
        seconds, spread = self._planned_for
        own = seconds + spread * _share(self._seed, task.seq) if task.run_seconds is None else task.run_seconds
        return (task.scheduled or 0.0) + max(own, 0.0) + self._extra[task.seq]

    def _end_due(self) -> bool:
        now = time.time()
        due: list[tuple[Task, Fault | None]] = []
        while self._ends and self._ends[0][0] <= now and len(due) < _BATCH:
            seq = heapq.heappop(self._ends)[1]
            del self._extra[seq]
            task = self._tasks.by_number(seq)
            due.append((task, self._fault(task, "fail")))
        if not due:
            return False
        with self._tasks.together():
            ended = [self._finish(task, fault) for task, fault in due]
        for done in filter(None, ended):
            # Tasks that control made come by the thousand: not worth a line each.
            level = logging.INFO if done.run_seconds is None else logging.DEBUG
            log.log(level, "task ended", extra={"task": done.task_id, "status": done.status})
        return True

    def _finish(self, task: Task, fault: Fault | None) -> Task | None:
        if fault is not None:
            return self._tasks.fail(task, fault.code, fault.message)
        if task.code:
            return self._tasks.fail(task, task.code, task.message or "")
        return self._tasks.succeed(task)

    def _fault(self, task: Task, kind: str) -> Fault | None:
        return self._faults.take(["task"], lambda: f"{task.task_id} {task.video_url}", [kind])


def _share(seed: str, seq: int) -> float:
    """A number from -1 to 1 for a task, spread evenly, the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{seed}/run/{seq}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / (1 << 63) - 1.0
