"""One ``up`` on a data folder at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "up.lock"


class LockedError(Exception):
    """Another ``up`` runs on this folder; ``pid`` and ``address`` are its own words, empty while it is starting."""

    def __init__(self, pid: str, address: str) -> None:
        super().__init__(pid)
        self.pid = pid
        self.address = address


@contextmanager
def data_lock(folder: Path, address: str, sandbox: str) -> Iterator[None]:
    """Hold the folder, and tell other commands (settings.py) where site and sandbox are. Raises LockedError.

    The system lets go of the lock with the process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Not truncated by opening: it may hold the words of the one who runs.
    with os.fdopen(os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, at, *_sandbox = [*file.readline().split(), "", ""]
            raise LockedError(pid, at) from None
        file.truncate()
        file.write(f"{os.getpid()} {address} {sandbox}\n")
        file.flush()
        yield
        file.seek(0)
        file.truncate()
