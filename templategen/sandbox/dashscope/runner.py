"""Carries tasks out: first come, first served, so many at once per Alibaba account."""

import logging
import tempfile
import threading
import time
from pathlib import Path

from templategen.sandbox.checks import check_file
from templategen.sandbox.config import LiveSettings
from templategen.sandbox.dashscope.download import download
from templategen.sandbox.dashscope.tasks import Outcome, Task, Tasks
from templategen.sandbox.faults import Fault, Faults

log = logging.getLogger(__name__)


class Runner:
    """One thread that hands out slots, and one thread for each running task."""

    def __init__(self, tasks: Tasks, settings: LiveSettings, faults: Faults, folder: Path) -> None:
        self._tasks = tasks
        self._settings = settings
        self._faults = faults
        self._folder = folder
        self._stopping = False

    def start(self) -> None:
        """Go on with what was running when the process ended, then serve the queue."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left_over in self._folder.iterdir():
            left_over.unlink(missing_ok=True)
        for task in self._tasks.with_status("RUNNING"):
            self._launch(task)
        threading.Thread(target=self._serve, name="slots", daemon=True).start()

    def stop(self) -> None:
        """Leave everything as it is; a later start goes on from there."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """Look at the queue now: a task was submitted, ended or cancelled."""
        with self._settings.changed:
            self._settings.changed.notify_all()

    def _serve(self) -> None:
        while not self._stopping:
            with self._settings.changed:
                started = self._fill_slots()
                if not started and not self._stopping:
                    self._settings.changed.wait(1.0)

    def _fill_slots(self) -> bool:
        started = False
        for task in self._tasks.next_in_line(self._settings.value.running_tasks):
            if self._tasks.schedule(task):
                self._launch(self._tasks.by_number(task.seq))
                started = True
        return started

    def _launch(self, task: Task) -> None:
        threading.Thread(target=self._carry_out, args=(task,), name=f"task-{task.seq}", daemon=True).start()

    def _carry_out(self, task: Task) -> None:
        try:
            if not task.checked:
                self._tasks.record_check(task, self._check(task))
            extra = self._fault(task, "slow")
            self._wait(task, extra.seconds if extra else 0.0)
            if not self._stopping:
                self._finish(self._tasks.by_number(task.seq))
        except Exception:
            log.exception("a task broke the sandbox", extra={"task": task.task_id})
            self._tasks.fail(task, "InternalError", "An internal error has occured, please try again later.")
        self.wake()

    def _check(self, task: Task) -> Outcome:
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:
            path = Path(file.name)
            problem = download(task.video_url, path, self._settings.value.download_seconds)
            return problem or check_file(path)

    def _wait(self, task: Task, extra: float) -> None:
        """Until the run time since its start is over; a change of the setting counts at once."""
        with self._settings.changed:
            while not self._stopping:
                end = (task.scheduled or time.time()) + self._settings.value.run_seconds + extra
                left = end - time.time()
                if left <= 0:
                    return
                self._settings.changed.wait(min(left, 1.0))

    def _finish(self, task: Task) -> None:
        fault = self._fault(task, "fail")
        if fault is not None:
            self._tasks.fail(task, fault.code, fault.message)
        elif task.code:
            self._tasks.fail(task, task.code, task.message or "")
        else:
            self._tasks.succeed(task)
        log.info("task ended", extra={"task": task.task_id, "status": self._tasks.by_number(task.seq).status})

    def _fault(self, task: Task, kind: str) -> Fault | None:
        return self._faults.take(["task"], lambda: f"{task.task_id} {task.video_url}", [kind])
