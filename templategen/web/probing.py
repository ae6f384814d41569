"""Probes of what users send: a few at once in a web process, so that pages stay quick while many clips are checked."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

AT_ONCE = 2
_places = threading.BoundedSemaphore(AT_ONCE)


class BusyError(Exception):
    """All places were taken for as long as the caller wanted to wait."""


def in_turn(probe: Callable[[], Result], *, wait_seconds: float) -> Result:
    """Run `probe` when a place is free. BusyError when none became free within `wait_seconds`."""
    if not _places.acquire(timeout=wait_seconds):
        raise BusyError
    try:
        return probe()
    finally:
        _places.release()
