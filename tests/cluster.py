"""The processes of a worker command's queue, each by its part (Linux)."""

from dataclasses import dataclass
from pathlib import Path

from tests.running import wait_until

WORKERS = 2
"""As many as settings have where WORKERS is not set."""


@dataclass(frozen=True)
class Cluster:
    """Process IDs. Each is its parent's child: worker command > guard > main > sentinel > the rest."""

    guard: int
    main: int
    sentinel: int
    workers: tuple[int, ...]
    monitor: int
    pusher: int

    @property
    def all(self) -> set[int]:
        """Every one of them."""
        return {self.guard, self.main, self.sentinel, *self.workers, self.monitor, self.pusher}

    @property
    def alive(self) -> set[int]:
        """Those that still run."""
        return {pid for pid in self.all if is_alive(pid)}


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The living children of a process, oldest first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid and is_alive(int(folder.name)):
            found.append(int(folder.name))
    return sorted(found)


def cluster_of(worker: int) -> Cluster:
    """The queue of a worker command, once it is complete."""

    def complete() -> Cluster | None:
        try:
            [guard] = children(worker)
            [main] = children(guard)
            [sentinel] = children(main)
        except ValueError:
            return None
        rest = children(sentinel)
        if len(rest) != WORKERS + 2:
            return None
        # In the order in which django-q2 starts them.
        return Cluster(guard, main, sentinel, tuple(rest[:WORKERS]), rest[-2], rest[-1])

    cluster: Cluster = wait_until(complete, what="a whole cluster")
    return cluster
