"""What the sandbox is told at its start, and what may be changed while it runs."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What may be changed at run time through `PATCH /_sandbox/settings`.

    Rates are calls per second and Alibaba account (`None`: no limit); the defaults are the documented limits. A task's
    run time is `run_seconds`, give or take up to `run_spread`. `api_error`: the code of a refusal that is given to
    every call (InvalidApiKey) or to every submit (any other); empty: none. `clock_offset_seconds`: how far the clock
    of the services is ahead. `utc_offset_hours`: the time zone of DashScope's times that name none. `idle_seconds`: how
    long a connection may wait for its next request. `keep`: settings and faults hold over a restart.
    """

    run_seconds: float = 3.0
    run_spread: float = 0.0
    running_tasks: int = 1
    retention_hours: float = 24.0
    submits_per_second: int | None = 5
    queries_per_second: int | None = 20
    retry_after_seconds: int | None = None
    download_seconds: float = 60.0
    skip_download: bool = False
    allow_v1: bool = False
    list_lag_seconds: float = 0.0
    list_page_max: int = 100
    list_page_clamp: bool = False
    clock_offset_seconds: float = 0.0
    utc_offset_hours: float = 8.0
    idle_seconds: float = 75.0
    api_error: str = ""
    keep: bool = False


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


# Codes that DashScope refuses calls with, and their HTTP status (error page); some statuses are not what one expects.
API_ERRORS: Mapping[str, int] = {
    "InvalidApiKey": 401,
    "Arrearage": 400,
    "CommodityNotPurchased": 429,
    "PrepaidBillOverdue": 429,
    "PostpaidBillOverdue": 429,
    "Throttling.RateQuota": 429,
    "Throttling.AllocationQuota": 429,
    "AccessDenied": 403,
    "AccessDenied.Unpurchased": 403,
    "AllocationQuota.FreeTierOnly": 403,
    "Model.AccessDenied": 403,
    "Workspace.AccessDenied": 403,
    "ModelNotFound": 404,
    "InternalError": 500,
    "ModelUnavailable": 503,
}
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "run_seconds": (0, 86_400),
    "run_spread": (0, 86_400),
    "running_tasks": (0, 100_000),
    "retention_hours": (0, 8_760),
    "submits_per_second": (1, 1_000_000),
    "queries_per_second": (1, 1_000_000),
    "retry_after_seconds": (0, 86_400),
    "download_seconds": (0.1, 600),
    "list_lag_seconds": (0, 86_400),
    "list_page_max": (1, 10_000),
    "clock_offset_seconds": (-31_536_000, 31_536_000),
    "utc_offset_hours": (-12, 14),
    "idle_seconds": (0.05, 3_600),
}
_WHOLE = frozenset(
    {"running_tasks", "submits_per_second", "queries_per_second", "retry_after_seconds", "list_page_max"}
)
_MAY_BE_NONE = frozenset({"submits_per_second", "queries_per_second", "retry_after_seconds"})
_YES_OR_NO = frozenset({"allow_v1", "skip_download", "list_page_clamp", "keep"})
NAMES = frozenset(field.name for field in dataclasses.fields(Settings))


def changed(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """The settings with the changes applied; raises BadSettingError and changes nothing if one of them is wrong."""
    for name, value in changes.items():
        _check(name, value)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def _check(name: str, value: object) -> None:
    if name not in NAMES:
        raise BadSettingError(f"unknown setting {name!r}; known: {', '.join(sorted(NAMES))}")
    if name in _YES_OR_NO:
        if not isinstance(value, bool):
            raise BadSettingError(f"{name} must be true or false")
        return
    if name == "api_error":
        if value != "" and value not in API_ERRORS:
            raise BadSettingError(f"api_error must be empty or one of {', '.join(API_ERRORS)}")
        return
    if value is None and name in _MAY_BE_NONE:
        return
    low, high = _BOUNDS[name]
    kinds = (int,) if name in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise BadSettingError(f"{name} must be a number from {low:g} to {high:g}")


class LiveSettings:
    """The settings of a running sandbox: one frozen value, replaced as a whole; who wants to know is told."""

    def __init__(self, settings: Settings) -> None:
        self._value = settings
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def value(self) -> Settings:
        """The settings as they are now."""
        return self._value

    def now(self) -> float:
        """What the services' clock shows, in seconds since the epoch."""
        return time.time() + self._value.clock_offset_seconds

    def change(self, changes: Mapping[str, object]) -> Settings:
        """Apply the changes and tell the listeners; raises BadSettingError."""
        with self._lock:
            self._value = value = changed(self._value, changes)
        for listener in self._listeners:
            listener()
        return value

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have something called after each change; it must be quick."""
        self._listeners.append(listener)
