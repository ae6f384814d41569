"""The documented limits on calls per second, by Alibaba account and kind of call."""

import threading
import time
from collections import defaultdict, deque


class Rates:
    """Counts admitted calls in a sliding second. A refused call does not count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._admitted: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def admit(self, account: str, call: str, limit: int | None) -> bool:
        """Whether one more call fits into the last second; if so, it is counted."""
        if limit is None:
            return True
        now = time.monotonic()
        with self._lock:
            times = self._admitted[account, call]
            while times and now - times[0] >= 1.0:
                times.popleft()
            if len(times) >= limit:
                return False
            times.append(now)
            return True
