"""The same clips at the same sandbox, through this product and through a plain script (`plain_script.py`).

    python tests/benchmark/peer.py [--clips 20]

A task runs 3 s, one at a time; the script asks every 10 s. Figures, `name=value`:

- `ours_s`, `plain_s`: from the first clip's upload to the last template ID (ours: as the page shows it); `ratio` is the
  first by the second. The site runs already; clips go up one after the other, as from a browser.
- The same again with one kill -9 when half of the IDs are there, of our queue's main process and of the script.
  `ours_ready_after_kill`: templates READY with the very ID that the sandbox made, nobody having done anything about it;
  `ours_after_kill_s`: seconds in all. `plain_ids_kept_after_kill`: IDs that the script left on the disk (what it had
  printed is `plain_ids_on_screen`). `ours_tasks`, `plain_tasks`: tasks that the sandbox was paid for in that run.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmark.first_template import TEMPLATE_ID, Page, precheck, upload
from tests.benchmark.plain_script import PREFIX
from tests.clips import make_clip
from tests.ports import free_port
from tests.running import ROOT, Running, processes_of, running, wait_until
from tests.sandbox import control

RUN_SECONDS = 3
LOOK_SECONDS = 0.25
# For one run of all clips; nothing here waits for ever.
SECONDS_A_CLIP = 30.0


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    data: Path
    work: Path
    page: Page
    sandbox_port: int
    clips: list[Path]

    @property
    def longest(self) -> float:
        """Seconds after which a run has failed."""
        return 60.0 + SECONDS_A_CLIP * len(self.clips)

    def tasks(self, *, plain: bool) -> list[dict[str, Any]]:
        """The sandbox's tasks of one of the two."""
        found: list[dict[str, Any]] = control(self.sandbox_port, "GET", "tasks")
        return [task for task in found if (f"/{PREFIX}" in task["video_url"]) is plain]


def send_all(place: Place) -> list[str]:
    """Every clip through the page's own addresses; their templates' pages."""
    paths = []
    for clip in place.clips:
        data = clip.read_bytes()
        precheck(place.page, data)
        paths.append(upload(place.page, clip.name, data))
    return paths


def ids_shown(place: Place, paths: list[str], count: int) -> list[str]:
    """Look until so many of these pages show a template ID; what they show."""
    found: dict[str, str] = {}
    deadline = time.monotonic() + place.longest
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} are ready"
        # In the order of the line: the first that is not ready tells when there is more to see.
        path = next(path for path in paths if path not in found)
        shown = TEMPLATE_ID.search(place.page.get(path))
        if shown:
            found[path] = shown[0]
        else:
            time.sleep(LOOK_SECONDS)
    return list(found.values())


def ours(place: Place) -> float:
    """Seconds of an undisturbed run."""
    began = time.monotonic()
    ids = ids_shown(place, send_all(place), len(place.clips))
    seconds = time.monotonic() - began
    assert len(set(ids)) == len(place.clips)
    return seconds


def plain_command(place: Place) -> "subprocess.Popen[str]":
    """The script, in an empty folder of its own."""
    place.work.mkdir(exist_ok=True)
    address = f"http://127.0.0.1:{place.sandbox_port}"
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests/benchmark/plain_script.py"), "--oss", address, "--api", f"{address}/api/v1",
         *map(str, place.clips)],
        cwd=place.work, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def plain(place: Place) -> float:
    """Seconds of an undisturbed run of the script."""
    began = time.monotonic()
    process = plain_command(place)
    printed, _ = process.communicate(timeout=place.longest)
    seconds = time.monotonic() - began
    assert process.returncode == 0
    assert len(set(TEMPLATE_ID.findall(printed))) == len(place.clips), printed
    return seconds


def ours_killed(place: Place) -> dict[str, float]:
    """The same with a kill -9 of the queue when half is ready."""
    before = {task["task_id"] for task in place.tasks(plain=False)}
    began = time.monotonic()
    paths = send_all(place)
    ids_shown(place, paths, len(place.clips) // 2)
    os.kill(queue_process(place.data), signal.SIGKILL)
    ids = ids_shown(place, paths, len(place.clips))
    made = [task for task in place.tasks(plain=False) if task["task_id"] not in before]
    return {
        "ours_ready_after_kill": len(set(ids) & {task["template_id"] for task in made}),
        "ours_tasks": len(made),
        "ours_after_kill_s": round(time.monotonic() - began, 1),
    }


def queue_process(data: Path) -> int:
    """The main process of the queue: its parent is no part of the queue."""
    queue = {pid for pid, command in processes_of(data).items() if " qcluster" in command}
    return next(pid for pid in sorted(queue) if _parent(pid) not in queue)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def plain_killed(place: Place) -> dict[str, float]:
    """The same with a kill -9 of the script, in the wait for the task after half."""
    before = {task["task_id"] for task in place.tasks(plain=True)}
    wanted = len(place.clips) // 2 + 1
    process = plain_command(place)

    def submitted() -> list[str]:
        ids = [task["task_id"] for task in place.tasks(plain=True)]
        return [task_id for task_id in ids if task_id not in before]

    try:
        wait_until(lambda: len(submitted()) >= wanted, seconds=place.longest, what="half of the script's work")
        time.sleep(1)
    finally:
        process.kill()
    printed, _ = process.communicate(timeout=10)
    on_disk = "".join(path.read_text(errors="replace") for path in place.work.rglob("*") if path.is_file())
    return {
        "plain_ids_kept_after_kill": len(TEMPLATE_ID.findall(on_disk)),
        "plain_ids_on_screen": len(TEMPLATE_ID.findall(printed)),
        "plain_tasks": len(submitted()),
    }


def start(command: Running, folder: Path, data: Path, port: int, sandbox_port: int, count: int) -> Place:
    """Signed in, with clips made and the sandbox told its pace."""
    link = command.wait_for(r"Sign in here \(works once\): (\S+)", seconds=60)[1]
    control(sandbox_port, "PATCH", "settings", {"run_seconds": RUN_SECONDS, "running_tasks": 1})
    page = Page(port)
    page.get(urlsplit(link).path)
    clips = [
        make_clip(folder / f"clip-{number:02}.mp4", width=256, height=352, seconds=2.5 + number / 24)
        for number in range(count)
    ]
    return Place(data, folder / "work", page, sandbox_port, clips)


def main() -> None:
    """Both, undisturbed; then both, killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20)
    count = parser.parse_args().clips
    with tempfile.TemporaryDirectory(prefix="templategen-peer-") as name:
        folder = Path(name)
        data, port, sandbox_port = folder / "data", free_port(), free_port()
        with running(data, "up", "--port", str(port), "--sandbox-port", str(sandbox_port)) as command:
            place = start(command, folder, data, port, sandbox_port, count)
            print(f"clips={count}", flush=True)
            ours_s, plain_s = ours(place), plain(place)
            print(f"ours_s={ours_s:.1f}\nplain_s={plain_s:.1f}\nratio={ours_s / plain_s:.2f}", flush=True)
            for figures in (ours_killed(place), plain_killed(place)):
                for figure, value in figures.items():
                    print(f"{figure}={value}", flush=True)


if __name__ == "__main__":
    main()
