"""Time that only a test moves: what the rows are written with, and the seconds that loops count."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.utils import timezone

_NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
_TICK = timedelta(milliseconds=1)


class Clock:
    """Goes on by a millisecond at each question, so that no two moments are the same; else by ``jump`` alone."""

    def __init__(self) -> None:
        self.at = _NOON

    def now(self) -> datetime:
        """In place of ``timezone.now``."""
        self.at += _TICK
        return self.at

    def seconds(self) -> float:
        """In place of ``time.monotonic``."""
        return (self.at - _NOON).total_seconds() + 1000.0

    def jump(self, seconds: float) -> None:
        """Time passes."""
        self.at += timedelta(seconds=seconds)


def rule_time(now: Callable[[], datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks Django for the time asks ``now``, the defaults of fields too."""
    real = timezone.now
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if field.default is real:
                monkeypatch.setattr(field, "_get_default", now)
    monkeypatch.setattr(timezone, "now", now)
