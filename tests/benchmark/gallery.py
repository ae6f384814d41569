"""How quick the gallery is: 100,000 templates of one account among 1,000,000 in all, in SQLite.

    python tests/benchmark/gallery.py [--rows 1000000] [--mine 100000] [--times 60]

Builds the database in a temporary folder, asks for pages through Django's test client (the whole stack but the
socket), and prints ``name=value`` lines. Milliseconds; ``queries`` is the most that one page took.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

WORDS = ("dance", "walk", "spin", "jump", "wave", "studio", "take", "street", "stage", "slow", "fast", "final", "draft")
# How the states of a busy account are spread, in thousandths; unsettled ones are few at any moment.
SPREAD = {"ready": 900, "failed": 40, "blocked": 25, "canceled": 20, "lost": 5, "queued": 8, "pending": 1, "running": 1}
BATCH = 20_000


def _rows(count: int, account: int, start: int, rng: random.Random) -> Iterator[tuple[Any, ...]]:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    states = rng.choices(list(SPREAD), weights=list(SPREAD.values()), k=count)
    for place, state in enumerate(states):
        number = start + place
        name = f"{rng.choice(WORDS)} {rng.choice(WORDS)} {number}"
        task = str(uuid.UUID(int=rng.getrandbits(128)))
        template = f"AACT.{rng.getrandbits(40):010x}.{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}.{number:x}"
        made = (began + timedelta(seconds=17 * place + account)).strftime("%Y-%m-%d %H:%M:%S.%f")
        yield number, account, name, state, made, template if state == "ready" else "", task


def build(total: int, mine: int) -> int:
    """Fill the database; gives the primary key of the account that owns ``mine`` of ``total`` templates."""
    from django.db import connection

    from accounts.models import Account, Membership, User

    me = User.objects.create_user("bench@example.com")
    accounts = [Account.objects.create(name=f"Account {n}", slug=f"account-{n}") for n in range(10)]
    Membership.objects.create(user=me, account=accounts[0])
    shares = [mine] + [(total - mine) // 9] * 9
    rng = random.Random(7)
    start = 1
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
        for account, share in zip(accounts, shares, strict=True):
            for begin in range(0, share, BATCH):
                rows = list(_rows(min(BATCH, share - begin), account.pk, start, rng))
                start += len(rows)
                _insert(cursor, rows)
    return accounts[0].pk


def _insert(cursor: Any, rows: list[tuple[Any, ...]]) -> None:
    raw = cursor.connection
    raw.execute("BEGIN")
    raw.executemany(
        "INSERT INTO templategen_clip (id, account_id, object_key, poster_key, file_name, size_bytes, fingerprint,"
        " upload_id, part_size, etag, crc64, stored_at, facts, findings, duration_s, passed, created_at)"
        " VALUES (?, ?, ?, ?, ?, 4718592, '', '', 8388608, '', '', ?, ?, '[]', 12.04, 1, ?)",
        [
            (pk, account, f"clips/{pk}", f"posters/{pk}", f"{name}.mp4", made, '{"width": 1080, "height": 1920}', made)
            for pk, account, name, _state, made, _template, _task in rows
        ],
    )
    columns, values = _other_columns()
    raw.executemany(
        "INSERT INTO templategen_actiontemplate (id, public_id, account_id, clip_id, name, state, search_text,"
        " created_at, changed_at, next_look_at, queued_at, sent_at, running_at, ended_at, ready_at, task_id,"
        f" template_id, error_code, {columns}) VALUES ({', '.join('?' * 18)}, {values})",
        [
            (pk, uuid.uuid4().hex, account, pk, name, state, f"{name} {name}.mp4 {template} {task}".lower(), made, made,
             made, made, made, made, *([_later(made)] * 2 if state == "ready" else [None] * 2), task, template,
             "InvalidFile.Content" if state == "failed" else "")
            for pk, account, name, state, made, template, task in rows
        ],
    )  # fmt: skip
    raw.execute("COMMIT")


def _other_columns() -> tuple[str, str]:
    """Those that must not be empty and say nothing here, with their defaults: names, values."""
    others = {
        "version": "3", "attempt": "1", "step_tries": "0", "found": "'[]'", "search": "'{}'", "claim_token": "''",
        "claimed_by": "''", "submit_request_id": "''", "video_ratio": "''", "request_id": "''", "error_message": "''",
    }  # fmt: skip
    return ", ".join(others), ", ".join(others.values())


def _later(made: str) -> str:
    """Four minutes after ``made``: so long takes a template here."""
    return (datetime.fromisoformat(made) + timedelta(minutes=4)).strftime("%Y-%m-%d %H:%M:%S.%f")


def _time(ask: Callable[[], Any], times: int) -> tuple[list[float], list[float]]:
    """Milliseconds by the clock, and of this process's CPU: the same where nothing else runs on the machine."""
    for _ in range(3):
        ask()
    by_clock, by_cpu = [], []
    for _ in range(times):
        began, began_cpu = time.perf_counter(), time.process_time()
        ask()
        by_clock.append((time.perf_counter() - began) * 1000)
        by_cpu.append((time.process_time() - began_cpu) * 1000)
    return by_clock, by_cpu


def measure(times: int) -> Iterator[tuple[str, float]]:
    """Each kind of page: median, 95th percentile; and the most queries of one page."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User

    client = Client()
    client.force_login(User.objects.get(email="bench@example.com"))
    base = "/a/account-0/"
    kinds = {
        "first": f"{base}",
        "deep": f"{base}?page=999999",
        "middle": f"{base}?page=2000",
        "search": f"{base}?q=spin+final+77",
        "search_common": f"{base}?q=dance",
        "search_none": f"{base}?q=no-such-words",
        "filter": f"{base}?state=attention",
        "filter_ready": f"{base}?state=ready",
        "filter_waiting": f"{base}?state=waiting",
        "filter_deep": f"{base}?state=attention&page=99999",
    }
    most = 0
    for name, address in kinds.items():
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        assert answer.status_code == 200, (name, answer.status_code)
        most = max(most, len(queries))
        taken, cpu = _time(lambda address=address: client.get(address), times)
        yield f"{name}_median_ms", round(statistics.median(taken), 1)
        yield f"{name}_p95_ms", round(statistics.quantiles(taken, n=20)[-1], 1)
        yield f"{name}_cpu_p95_ms", round(statistics.quantiles(cpu, n=20)[-1], 1)
    yield "queries", most


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--mine", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=60)
    parser.add_argument("--folder", help="keep the database here, and use the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gallery-") as temporary:
        folder = Path(options.folder or temporary)
        os.environ["TEMPLATEGEN_DATA"] = str(folder)
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        there = (folder / "sandbox.sqlite3").exists()
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        settings.ALLOWED_HOSTS.append("testserver")
        if not there:
            began = time.perf_counter()
            call_command("migrate", verbosity=0)
            build(options.rows, min(options.mine, options.rows))
            print(f"build_seconds={time.perf_counter() - began:.1f}", flush=True)
        for name, value in measure(options.times):
            print(f"{name}={value}", flush=True)


if __name__ == "__main__":
    main()
