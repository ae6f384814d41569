"""Runs one command as the head of a process group, and ends the whole group when the one who asked for it is gone.

Started by path (``python -I -S guard.py COMMAND…``) by ``supervise.py``, which keeps the other end of standard input
open for as long as it lives. When that end closes without a word (the supervisor was killed with SIGKILL), nobody is
left to stop anything, so the group is killed: the command, what it forked, and this process. SIGTERM and SIGINT go to
the command alone, never to what it forked, for a group-wide SIGTERM hangs django-q2's main process. Works wherever
pipes and process groups do; nothing here is Linux's own.

Exit status: the command's, or 128 + the number of the signal that ended it, as shells say it.
"""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType


def _kill_group_when_alone() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command to its end; its exit status."""
    if os.getpgrp() != os.getpid():
        os.setsid()
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    try:
        # close_fds: what the supervisor passed on to this process is meant for the command.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)  # noqa: S603 -- its own words
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    for number in early:
        process.send_signal(number)
    threading.Thread(target=_kill_group_when_alone, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # Not sys.exit: the thread above may sit in read() on standard input, which an orderly end would wait for.
    os._exit(main(sys.argv[1:]))
