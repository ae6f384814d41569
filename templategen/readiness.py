"""Is this process, and the site behind it, able to work? For /readyz: words only, in bounded time.

The checks run in a thread of their own, at most one at a time: a database that hangs costs one thread, not one for
each question, and whoever asks is answered after BOUND_S all the same. An answer is kept for a moment, so that no
stranger can keep the database busy by asking.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.templatetags.static import static
from django.utils import timezone

from templategen import standing

logger = logging.getLogger(__name__)

OK, FAILED, SLOW = "ok", "failed", "slow"
BOUND_S = 3.0
KEPT_S = 2.0

WEB = ("database", "migrations", "static")
"""What pages need. A dead worker is no reason to take the pages away from people."""
ALL = (*WEB, "worker", "conductor", "queue")
"""What work needs, too."""


@dataclass
class _Probe:
    """One run of the checks; ``words`` fills as they end."""

    words: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    over_at: float = 0.0


class Readiness:
    """Asks ``checks`` in their order, one run at a time. The first is what all others need: they fail with it."""

    def __init__(self, checks: Mapping[str, Callable[[], bool]]) -> None:
        self._checks = checks
        self._lock = threading.Lock()
        self._probe: _Probe | None = None
        self._told: dict[str, str] = {}

    def ask(self, names: Collection[str], *, bound_s: float = BOUND_S) -> dict[str, str]:
        """A word for each name: ``ok``, ``failed``, or ``slow`` where no answer came within ``bound_s``."""
        probe = self._running_or_new()
        probe.over.wait(bound_s)
        found = dict(probe.words)
        words = {name: found.get(name, SLOW) for name in self._checks}
        self._tell(words)
        return {name: words[name] for name in names}

    def _running_or_new(self) -> _Probe:
        with self._lock:
            old = self._probe
            if old is not None and not (old.over.is_set() and time.monotonic() - old.over_at >= KEPT_S):
                return old
            self._probe = probe = _Probe()
            threading.Thread(target=self._run, args=(probe,), name="readiness", daemon=True).start()
            return probe

    def _tell(self, words: dict[str, str]) -> None:
        """Into the log, when it changes: probes come every few seconds."""
        with self._lock:
            before, self._told = self._told, words
        if words == before:
            return
        bad = {name: word for name, word in words.items() if word != OK}
        if bad:
            logger.warning("not ready", extra=bad)
        elif before:
            logger.info("ready again")

    def _run(self, probe: _Probe) -> None:
        try:
            for number, (name, check) in enumerate(self._checks.items()):
                probe.words[name] = _word(check, name)
                if number == 0 and probe.words[name] != OK:
                    probe.words.update(dict.fromkeys(self._checks, FAILED))
                    return
        finally:
            connection.close()
            probe.over_at = time.monotonic()
            probe.over.set()


def _word(check: Callable[[], bool], name: str) -> str:
    try:
        return OK if check() else FAILED
    except Exception as problem:  # noqa: BLE001 -- whatever is wrong with it, that check has failed
        logger.warning("readiness check failed", extra={"check": name, "problem": type(problem).__name__})
        return FAILED


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone())


_migrated = threading.Event()


def _migrations() -> bool:
    """Whether the database has all that this code knows of. Once true it stays so: the code does not change."""
    if not _migrated.is_set():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _migrated.set()
    return True


def _static() -> bool:
    """Whether this process knows the hashed names of the static files: without them no page can be shown."""
    return bool(static("css/base.css"))


def forget() -> None:
    """Look at the migrations anew: for tests."""
    _migrated.clear()


def _worker() -> bool:
    beats = standing.beats(now=timezone.now())
    return any(beat.name == standing.QUEUE and beat.age_seconds <= settings.READY_HEARTBEAT_SECONDS for beat in beats)


def _conductor() -> bool:
    return any(lease.name == standing.CONDUCTOR and lease.held for lease in standing.leases(now=timezone.now()))


def _queue() -> bool:
    if standing.queue_is_redis():
        return standing.queue_length() <= settings.READY_QUEUE_LENGTH
    waiting = standing.oldest_message_seconds(now=timezone.now())
    return waiting is None or waiting <= settings.READY_QUEUE_SECONDS


CHECKS: dict[str, Callable[[], bool]] = {
    "database": _database,
    "migrations": _migrations,
    "static": _static,
    "worker": _worker,
    "conductor": _conductor,
    "queue": _queue,
}

of_this_process = Readiness(CHECKS)
