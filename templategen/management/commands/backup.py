"""``manage.py backup FILE``: a copy of the database as it is at one moment, while the site goes on."""

import os
import sqlite3
import subprocess
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient
from django.utils.translation import gettext as _

from templategen.restored import BACKUP, LEASE, is_elsewhere


class Command(BaseCommand):
    """What is not in it: the clips (they are in OSS) and SECRET_KEY (a file beside the database)."""

    help = _("Writes a backup of the database to FILE: an SQLite database, or for PostgreSQL what pg_restore reads.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", metavar="FILE", type=Path)

    def handle(self, *, file: Path, **_options: Any) -> None:
        """Write beside, then rename: a file of that name is always whole."""
        if file.exists():
            raise CommandError(_("%(file)s exists. Choose a name that is free.") % {"file": file})
        if not file.parent.is_dir():
            raise CommandError(_("There is no folder %(folder)s.") % {"folder": file.parent})
        # So that the copy knows where it is at home.
        is_elsewhere()
        part = file.with_name(f"{file.name}.part")
        part.unlink(missing_ok=True)
        # Sessions and password hashes are in it.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _copy_sqlite(part) if connection.vendor == "sqlite" else _dump_postgres(part)
            _flush(part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        self.stdout.write(_("%(file)s: %(size)d bytes") % {"file": file, "size": file.stat().st_size})


def _copy_sqlite(part: Path) -> None:
    """VACUUM INTO: one read transaction, so that writers go on; what only lies in the WAL file is in it too."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(part)])
    with closing(sqlite3.connect(part)) as copy:
        with copy:
            copy.execute("UPDATE templategen_lease SET owner = ? WHERE name = ?", (BACKUP, LEASE))
        [found] = copy.execute("PRAGMA integrity_check").fetchone()
    if found != "ok":
        raise CommandError(_("The copy is damaged: %(problem)s. So is the database, perhaps.") % {"problem": found})


def _dump_postgres(part: Path) -> None:
    words, environment = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    command = ["pg_dump", "--format=custom", "--no-owner", f"--file={part}", *words[1:]]
    try:
        done = subprocess.run(  # noqa: S603 -- our own words, and the settings'
            command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise CommandError(_("pg_dump is not installed: apt-get install postgresql-client.")) from None
    if done.returncode:
        raise CommandError(_("pg_dump failed: %(problem)s") % {"problem": done.stderr.strip()[-1000:]})


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
