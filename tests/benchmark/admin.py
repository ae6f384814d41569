"""How quick the administrator's lists are: 1,000 accounts, 1,000,000 templates, 3,000,000 ledger entries.

    python tests/benchmark/admin.py [--templates 1000000] [--accounts 1000] [--times 40] [--only sqlite|postgresql]

Fills a database of its own by SQL (three ledger entries for each template; every tenth template is one account's), asks
for pages through Django's test client (the whole stack but the socket), and prints for each database ``sqlite_…`` and
``postgresql_…``: ``…_p95_ms`` and ``…_median_ms`` by the clock, ``…_cpu_p95_ms`` of this process, ``…_queries``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BATCH = 100_000
BUSY = 1
# Of a thousand templates so many are in these states, the others ready.
STATES = {"failed": 40, "blocked": 25, "canceled": 20, "lost": 5, "queued": 8, "pending": 1, "running": 1}
SPACING_SECONDS = 15
DEFAULT_TEMPLATES, DEFAULT_SECONDS, DEFAULT_STORAGE = 400, 6000, 5_000_000_000


class Filler:
    """Writes rows by ``INSERT … SELECT`` over numbers: ``i`` is the row's number, from 1."""

    def __init__(self) -> None:
        from django.db import connection

        self.connection = connection
        self.is_postgres = connection.vendor == "postgresql"

    def at(self, number: str) -> str:
        """A time: the later the higher the number."""
        if self.is_postgres:
            return f"TIMESTAMPTZ '2026-01-01' + ({number}) * INTERVAL '{SPACING_SECONDS} seconds'"
        return f"datetime('2026-01-01', '+' || (({number}) * {SPACING_SECONDS}) || ' seconds')"

    def uuid(self, number: str) -> str:
        """A UUID that is the number."""
        if self.is_postgres:
            return f"lpad(to_hex({number}), 32, '0')::uuid"
        return f"printf('%032x', {number})"

    def fill(self, model: Any, count: int, **values: str) -> None:
        """``count`` rows; a field without an SQL expression in ``values`` has its default."""
        columns, expressions = [], []
        for field in model._meta.concrete_fields:
            columns.append(f'"{field.column}"')
            expressions.append(values.get(field.name) or self._default(field))
        insert = f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
        for start in range(1, count + 1, BATCH):
            end = min(start + BATCH - 1, count)
            select = f"SELECT {', '.join(expressions)} FROM n"
            first, following = f"SELECT CAST({start} AS BIGINT)", f"SELECT i + 1 FROM n WHERE i < {end}"
            numbers = f"WITH RECURSIVE n(i) AS ({first} UNION ALL {following})"
            with self.connection.cursor() as cursor:
                sql = f"{insert} {numbers} {select}" if not self.is_postgres else f"{insert} ({numbers} {select})"
                cursor.execute(sql)

    def _default(self, field: Any) -> str:
        from django.db import models

        if field.null:
            return "NULL"
        if isinstance(field, models.JSONField):
            return f"'{json.dumps(field.get_default())}'"
        if isinstance(field, models.BooleanField):
            return "(1 = 1)" if field.get_default() else "(1 = 0)"
        if isinstance(field, models.DateTimeField):
            return self.at("i")
        if isinstance(field, models.IntegerField | models.FloatField):
            return str(field.get_default() or 0)
        return f"'{field.get_default() or ''}'"

    def without_indexes(self, *models: Any) -> "_WithoutIndexes":
        """Sorting once is quicker than keeping sorted."""
        return _WithoutIndexes(self, models)


class _WithoutIndexes:
    def __init__(self, filler: Filler, models: Any) -> None:
        self.filler = filler
        self.tables = [model._meta.db_table for model in models]
        self.again: list[str] = []

    def __enter__(self) -> None:
        quoted = ", ".join(f"'{table}'" for table in self.tables)
        question = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name IN ({quoted})"
        if self.filler.is_postgres:
            question = (
                f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({quoted})"
                " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
            )
        with self.filler.connection.cursor() as cursor:
            cursor.execute(question)
            for name, sql in cursor.fetchall():
                cursor.execute(f'DROP INDEX "{name}"')
                self.again.append(sql)

    def __exit__(self, *_problem: object) -> None:
        with self.filler.connection.cursor() as cursor:
            for sql in self.again:
                cursor.execute(sql)
            if self.filler.is_postgres:
                cursor.execute("VACUUM ANALYZE")


def build(accounts: int, templates: int) -> None:
    """Fill the database."""
    from django.utils import timezone

    from accounts.ledger import month_of
    from accounts.models import Account, LedgerEntry, Quota, StorageUse, UsageMonth
    from templategen.models import ActionTemplate, Clip

    filler, month = Filler(), f"'{month_of(timezone.now())}'"
    # Every tenth template is the busy account's.
    whose = f"CASE WHEN i % 10 = 0 THEN {BUSY} ELSE 1 + (i % {accounts}) END"
    filler.fill(Account, accounts, id="i", name="'Account ' || i", slug="'account-' || i", status="'active'")
    filler.fill(UsageMonth, accounts, id="i", account="i", month=month, templates_used="i % 450", ms_used="i * 3000")
    filler.fill(StorageUse, accounts, id="i", account="i", bytes_used="(i % 97) * 60000000")
    filler.fill(Quota, accounts // 10, id="i", account="i * 10", templates_per_month="i % 7 * 100")
    with filler.without_indexes(Clip, ActionTemplate, LedgerEntry):
        filler.fill(
            Clip, templates, id="i", account=whose, object_key="'clips/' || i", file_name="'dance ' || i || '.mp4'",
            size_bytes="4718592", stored_at=filler.at("i"), duration_s="12.04", passed="(1 = 1)",
        )  # fmt: skip
        filler.fill(
            ActionTemplate, templates, id="i", account=whose, clip="i", name="'dance ' || i", state=_state(),
            public_id=filler.uuid("i"), search_text="'dance ' || i || ' dance ' || i || '.mp4 task-' || i",
            task_id="'task-' || i", request_id="'request-' || i", submit_request_id="'submit-' || i",
            template_id=f"CASE WHEN i % 1000 >= {sum(STATES.values())} THEN 'AACT.' || i ELSE '' END",
            # Nothing is overdue, and nothing was finished unseen.
            next_look_at=filler.at("i + 10000000"), changed_at=filler.at("i"),
        )  # fmt: skip
        step = "CASE i % 3 WHEN 0 THEN 'hold' WHEN 1 THEN 'settle' ELSE 'release' END"
        filler.fill(
            LedgerEntry, 3 * templates, id="i", kind=step, month=f"DATE({month})" if filler.is_postgres else month,
            account=whose.replace("i %", "(i / 3 + 1) %"),
            reference=f"'template:' || ({_uuid_text(filler)}) || ':1:' || {step}",
            templates_held="1 - i % 3", ms_held="12040 * (1 - i % 3)",
        )  # fmt: skip


def _state() -> str:
    before, parts = 0, []
    for state, share in STATES.items():
        before += share
        parts.append(f"WHEN i % 1000 < {before} THEN '{state}'")
    return f"CASE {' '.join(parts)} ELSE 'ready' END"


def _uuid_text(filler: Filler) -> str:
    """Of the template that the entry is of, as ``str(uuid)`` has it: all zeros but the last group."""
    last = "lpad(to_hex(i / 3 + 1), 12, '0')" if filler.is_postgres else "printf('%012x', i / 3 + 1)"
    return f"'00000000-0000-0000-0000-' || {last}"


def pages(templates: int) -> dict[str, str]:
    """What is asked for, by name."""
    middle = templates // 2
    admin, template, entry = "/admin", "/admin/templategen/actiontemplate/", "/admin/accounts/ledgerentry/"
    return {
        "accounts": f"{admin}/accounts/account/",
        "accounts_over_80": f"{admin}/accounts/account/?usage=80",
        "accounts_no_own_key": f"{admin}/accounts/account/?own_key=0",
        "account_page": f"{admin}/accounts/account/{BUSY}/change/",
        "templates": template,
        "templates_deep": f"{template}?p=150",
        "templates_of_state": f"{template}?state__exact=failed",
        "templates_of_account": f"{template}?account__id__exact={BUSY}",
        "templates_by_task": f"{template}?q=task-{middle}",
        "templates_by_request": f"{template}?q=request-{middle}",
        "templates_by_nothing": f"{template}?q=no-such-id",
        "clips": f"{admin}/templategen/clip/",
        "clips_by_task": f"{admin}/templategen/clip/?q=task-{middle}",
        "ledger": entry,
        "ledger_deep": f"{entry}?p=150",
        "ledger_of_account": f"{entry}?account__id__exact={BUSY}",
        "ledger_of_template": f"{entry}?q=00000000-0000-0000-0000-{middle:012x}",
    }


def measure(templates: int, times: int) -> Iterator[tuple[str, Any]]:
    """Each page: times and queries."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User

    settings.QUOTA_TEMPLATES_PER_MONTH = DEFAULT_TEMPLATES
    settings.QUOTA_SECONDS_PER_MONTH = DEFAULT_SECONDS
    settings.QUOTA_STORAGE_BYTES = DEFAULT_STORAGE
    client = Client()
    client.force_login(User.objects.create_superuser("bench@example.com"))
    for name, address in pages(templates).items():
        answer = client.get(address)
        assert answer.status_code == 200, (name, answer.status_code)
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        if "cl" in answer.context_data:
            yield f"{name}_rows", len(answer.context_data["cl"].result_list)
        yield f"{name}_queries", len(queries)
        taken, cpu = _time(lambda address=address: client.get(address), times)
        yield f"{name}_median_ms", round(statistics.median(taken), 1)
        yield f"{name}_p95_ms", round(statistics.quantiles(taken, n=20)[-1], 1)
        yield f"{name}_cpu_p95_ms", round(statistics.quantiles(cpu, n=20)[-1], 1)


def _time(ask: Callable[[], Any], times: int) -> tuple[list[float], list[float]]:
    """Milliseconds by the clock, and of this process's CPU."""
    by_clock, by_cpu = [], []
    for _ in range(times):
        began, began_cpu = time.perf_counter(), time.process_time()
        ask()
        by_clock.append((time.perf_counter() - began) * 1000)
        by_cpu.append((time.process_time() - began_cpu) * 1000)
    return by_clock, by_cpu


def one(database: str, options: argparse.Namespace) -> None:
    """Build, measure, print; the process's database is the one that its environment names."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    build(options.accounts, options.templates)
    print(f"{database}_build_seconds={time.perf_counter() - began:.1f}", flush=True)
    print(f"{database}_load={os.getloadavg()[0]:.1f}", flush=True)
    for name, value in measure(options.templates, options.times):
        print(f"{database}_{name}={value}", flush=True)


def main() -> None:
    """Both databases, one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--templates", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        one(options.only, options)
        return
    from tests.servers import postgres

    for database in [options.only] if options.only else ["sqlite", "postgresql"]:
        with ExitStack() as running:
            folder = running.enter_context(tempfile.TemporaryDirectory(prefix="templategen-admin-"))
            surroundings = {**os.environ, "TEMPLATEGEN_DATA": folder, "DJANGO_SETTINGS_MODULE": "tests.settings"}
            if database == "postgresql":
                surroundings["TEST_DATABASE_URL"] = running.enter_context(postgres())
            command = [sys.executable, __file__, "--here", "--only", database]
            for name in ("accounts", "templates", "times"):
                command += [f"--{name}", str(getattr(options, name))]
            subprocess.run(command, env=surroundings, check=True)


if __name__ == "__main__":
    main()
