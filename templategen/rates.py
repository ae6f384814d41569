"""Tokens for queries: so many a second, evenly spaced, shared by every thread that asks one service."""

import threading
import time
from collections.abc import Callable

# After a refusal for too many queries the rate is halved for this long, then grows back step by step.
_SLOW_SECONDS = 60.0
_SLOWEST = 1 / 16


class Rate:
    """At most ``per_second`` tokens in any second; 0: no limit. Times are those of ``clock``, in seconds.

    Evenly spaced rather than saved up: after a pause there is no burst, which the service would see as one.
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock()
        self._share = 1.0
        self._slow_until = 0.0

    @property
    def now_per_second(self) -> float:
        """The rate as it is at present, slowed down or not; 0: no limit."""
        with self._lock:
            return self.per_second * self._current_share()

    def reserve(self) -> float:
        """Take the next token; the seconds to wait until it may be used."""
        with self._lock:
            now = self._clock()
            rate = self.per_second * self._current_share()
            if rate <= 0:
                return 0.0
            at = max(self._next, now)
            self._next = at + 1 / rate
            return at - now

    def slow_down(self) -> None:
        """The service said that it was too much: half as many for a while. Without a limit nothing changes."""
        with self._lock:
            self._share = max(self._current_share() / 2, _SLOWEST)
            self._slow_until = self._clock() + _SLOW_SECONDS

    def _current_share(self) -> float:
        while self._share < 1.0 and self._clock() >= self._slow_until:
            self._share = min(self._share * 2, 1.0)
            self._slow_until += _SLOW_SECONDS
        return self._share
