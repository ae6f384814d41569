"""Being asked to stop, by Ctrl-C, SIGTERM, or the terminal going away."""

import signal
from types import FrameType


class AskedToStop:
    """Counts the askings from when it is made. A plain number on purpose: a handler may run at any point of the main
    thread, where taking a lock (as ``threading.Event.set`` does) can wait for ever on itself."""

    def __init__(self) -> None:
        self.times = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup's wish is respected.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._count)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.times += 1

    def once(self) -> bool:
        """Asked at all."""
        return self.times > 0

    def again(self) -> bool:
        """Asked a second time: at once, then."""
        return self.times > 1
