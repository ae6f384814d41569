"""What the sandbox is told at its start, and what may be changed while it runs."""

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What may be changed at run time through `PATCH /_sandbox/settings`.

    Rates are calls per second and Alibaba account (`None`: no limit); the defaults are the documented limits.
    """

    run_seconds: float = 3.0
    running_tasks: int = 1
    retention_hours: float = 24.0
    submits_per_second: int | None = 5
    queries_per_second: int | None = 20
    download_seconds: float = 60.0
    allow_v1: bool = False


@dataclass(frozen=True)
class Config:
    """What is fixed for the life of the process. `api_keys` maps an API key to its Alibaba account."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 9000
    buckets: tuple[str, ...] = ("templategen",)
    region: str = "cn-beijing"
    access_key_id: str = "sandbox"
    access_key_secret: str = "sandbox-secret"  # noqa: S105  (no secret: it opens nothing but this stand-in)
    api_keys: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"sk-sandbox": "sandbox"})
    seed: str | None = None
    settings: Settings = Settings()


class BadSettingError(ValueError):
    """A setting has an unknown name or an impossible value; the text says which."""


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "run_seconds": (0, 86_400),
    "running_tasks": (0, 1000),
    "retention_hours": (0, 8_760),
    "submits_per_second": (1, 1_000_000),
    "queries_per_second": (1, 1_000_000),
    "download_seconds": (0.1, 600),
}
_WHOLE = frozenset({"running_tasks", "submits_per_second", "queries_per_second"})
_MAY_BE_NONE = frozenset({"submits_per_second", "queries_per_second"})


def changed(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """The settings with the changes applied; raises BadSettingError and changes nothing if one of them is wrong."""
    for name, value in changes.items():
        _check(name, value)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def _check(name: str, value: object) -> None:
    if name == "allow_v1":
        if not isinstance(value, bool):
            raise BadSettingError("allow_v1 must be true or false")
        return
    if name not in _BOUNDS:
        raise BadSettingError(f"unknown setting {name!r}; known: {', '.join(sorted([*_BOUNDS, 'allow_v1']))}")
    if value is None and name in _MAY_BE_NONE:
        return
    low, high = _BOUNDS[name]
    kinds = (int,) if name in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise BadSettingError(f"{name} must be a number from {low:g} to {high:g}")


class LiveSettings:
    """The settings of a running sandbox: one frozen value, replaced as a whole, with a signal for who waits on it."""

    def __init__(self, settings: Settings) -> None:
        self._value = settings
        self.changed = threading.Condition()

    @property
    def value(self) -> Settings:
        """The settings as they are now."""
        return self._value

    def change(self, changes: Mapping[str, object]) -> Settings:
        """Apply the changes and wake whoever waits; raises BadSettingError."""
        with self.changed:
            self._value = changed(self._value, changes)
            self.changed.notify_all()
            return self._value
