"""Counters that outlive processes: gathered in memory, written in one go now and then."""

import threading
from collections import Counter

from django.db import IntegrityError, transaction
from django.db.models import F

from templategen.pipeline_models import Tally

_lock = threading.Lock()
_gathered: Counter[tuple[str, str]] = Counter()


def count(name: str, label: str = "", *, by: int = 1) -> None:
    """Add to a counter in memory; ``flush`` writes it."""
    with _lock:
        _gathered[name, label[:100]] += by


def flush() -> None:
    """Write what was gathered. What cannot be written stays for the next time."""
    with _lock:
        taken = dict(_gathered)
        _gathered.clear()
    try:
        while taken:
            (name, label), number = next(iter(taken.items()))
            _add(name, label, number)
            del taken[name, label]
    finally:
        with _lock:
            _gathered.update(taken)


def forget() -> None:
    """Throw away what was gathered and not written: for tests."""
    with _lock:
        _gathered.clear()


def _add(name: str, label: str, number: int) -> None:
    row = Tally.objects.filter(name=name, label=label)
    if row.update(count=F("count") + number):
        return
    try:
        with transaction.atomic():
            Tally.objects.create(name=name, label=label, count=number)
    except IntegrityError:
        row.update(count=F("count") + number)
