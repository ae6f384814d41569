"""Backup while the site works, and a restore of it after more was made: no ID is lost, nothing is sent again."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.databases.site import Site, in_postgres, needs_servers
from tests.running import wait_until
from tests.servers import postgres_program

ROWS = "SELECT state, error_code, sent_at, template_id FROM templategen_actiontemplate ORDER BY id"
ADOPT = """
from templategen import actions
from templategen.models import ActionTemplate
template = ActionTemplate.objects.first()
assert len(template.found) == 4
actions.adopt(template, task_id="{task_id}", by=None)
"""


@pytest.fixture(autouse=True)
def _programs_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump of the server's own version, not of an older one that may come first."""
    if os.environ.get("TEST_DATABASE_URL"):
        folder = str(Path(postgres_program("pg_dump")).parent)
        monkeypatch.setenv("PATH", folder + os.pathsep + os.environ["PATH"])


def pg_restore(url: str, backup: Path) -> None:
    subprocess.run(
        [postgres_program("pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={url}", str(backup)], check=True
    )


def restore(site: Site, backup: Path) -> None:
    """As docs/operations.md says it."""
    site.drop()
    if url := site.more.get("DATABASE_URL"):
        subprocess.run(
            [postgres_program("pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={url}", str(backup)],
            check=True,
        )
    else:
        shutil.copy(backup, site.data / "sandbox.sqlite3")


def set_aside(site: Site, count: int) -> None:
    """Let so many wait in line, checked: no slot is free for them."""
    site.script("tests.databases.fill", str(count), "0")
    assert site.states() == ["queued"] * count


def submitted(site: Site) -> int:
    return len(site.sandbox.tasks())


def test_what_was_sent_after_the_backup_is_not_sent_again_and_its_ids_are_found(site: Site, tmp_path: Path):
    set_aside(site, 3)
    backup = tmp_path / "backups" / "noon"
    backup.parent.mkdir()
    site.must("backup", str(backup))
    assert backup.stat().st_mode & 0o077 == 0
    # Two are made after the backup, and a further one that the backup does not know at all.
    site.script("tests.databases.fill", "1", "1")
    with site.worker():
        wait_until(lambda: site.states() == ["ready"] * 4, seconds=120, what="all templates")
    ids = {row["template_id"] for row in site.rows(ROWS)}
    restore(site, backup)
    assert site.states() == ["queued"] * 3

    refused = site.run("worker")
    assert refused.returncode == 1
    assert "after_restore" in refused.stderr
    assert submitted(site) == 4

    told = site.must("after_restore")
    assert site.states() == ["unconfirmed"] * 3
    assert all(template_id in told for template_id in ids)
    assert "no template here owns: 4" in told
    rows = site.rows(ROWS)
    assert {(row["error_code"], row["sent_at"]) for row in rows} == {("unconfirmed.person", None)}

    # A worker runs, and looks for what it can find out: it decides nothing of these and sends nothing.
    with site.worker():
        again = "from templategen import models; models.ActionTemplate.objects.update(next_look_at='2020-01-01T00:00Z')"
        site.must("shell", "-v0", "-c", again)
        wait_until(lambda: site.rows("SELECT 1 AS x FROM templategen_lease WHERE name = 'conductor'"), what="a pass")
        # A person says which task is the first one's.
        task = next(each for each in site.sandbox.tasks() if each["template_id"] in ids)
        site.must("shell", "-v0", "-c", ADOPT.format(**task))
        wait_until(lambda: "ready" in site.states(), seconds=120, what="the adopted one")
    assert sorted(site.states()) == ["ready", "unconfirmed", "unconfirmed"]
    assert site.rows(ROWS)[0]["template_id"] == task["template_id"]
    assert submitted(site) == 4


@needs_servers
def test_a_site_that_only_moved_goes_on_where_it_was(site: Site, tmp_path: Path):
    set_aside(site, 1)
    site.must("backup", str(tmp_path / "backup"))
    restore(site, tmp_path / "backup")
    assert "may be started" in site.must("after_restore", "--nothing-was-sent")
    with site.worker():
        wait_until(lambda: site.states() == ["ready"], seconds=120, what="the template")
    assert submitted(site) == 1


@needs_servers
def test_an_upload_and_a_check_under_way_at_the_backup_do_not_go_on_by_themselves(site: Site, tmp_path: Path):
    site.script("tests.databases.fill", "1", "1")
    begin = (
        "from accounts.models import Account; from templategen import actions; actions.begin_upload("
        "Account.objects.get(), by=None, file_name='a.mp4', size_bytes=1000, fingerprint='f')"
    )
    site.must("shell", "-v0", "-c", begin)
    assert site.states() == ["checking", "uploading"]
    site.must("backup", str(tmp_path / "backup"))
    restore(site, tmp_path / "backup")
    told = site.must("after_restore")
    assert "Checks stopped: 1. Uploads canceled: 1." in told
    assert site.states() == ["blocked", "canceled"]
    assert site.rows(ROWS)[0]["error_code"] == "restored"


@needs_servers
def test_a_service_that_is_away_keeps_nothing_from_being_held(site: Site, tmp_path: Path):
    set_aside(site, 1)
    site.must("backup", str(tmp_path / "backup"))
    restore(site, tmp_path / "backup")
    site.sandbox.stop()
    done = site.run("after_restore")
    assert (done.returncode, site.states()) == (1, ["unconfirmed"])
    assert "after_restore --tasks-only" in done.stderr
    site.sandbox.start()
    assert "owns: 0" in site.must("after_restore", "--tasks-only")


@needs_servers
def test_while_a_worker_runs_nothing_is_held(site: Site):
    with site.worker():
        wait_until(lambda: site.rows("SELECT 1 AS x FROM templategen_lease WHERE name = 'conductor'"), what="a worker")
        done = site.run("after_restore")
        assert (done.returncode, "Stop every worker" in done.stderr) == (1, True)


def test_a_backup_holds_what_lies_in_the_wal_only_and_never_replaces_a_file(site: Site, tmp_path: Path):
    """Copying the SQLite file alone would miss it: commits lie beside it until they are moved over."""
    backup = tmp_path / "backup"
    if "DATABASE_URL" in site.more:
        pytest.skip("SQLite's way of keeping commits")
    with closing(sqlite3.connect(site.data / "sandbox.sqlite3", isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO templategen_tally (name, label, count) VALUES ('fresh', '', 1)")
        # A reader keeps the other process from clearing the WAL at its end.
        naive = tmp_path / "naive"
        shutil.copy(site.data / "sandbox.sqlite3", naive)
        site.must("backup", str(backup))
    asked = "SELECT count(*) FROM templategen_tally WHERE name = 'fresh'"
    with closing(sqlite3.connect(backup)) as copy, closing(sqlite3.connect(naive)) as wrong:
        assert copy.execute(asked).fetchone() == (1,)
        assert wrong.execute(asked).fetchone() == (0,)
    refused = site.run("backup", str(backup))
    assert (refused.returncode, "exists" in refused.stderr) == (1, True)


@needs_servers
def test_a_dump_loaded_beside_the_original_knows_that_it_is_a_copy(site: Site, tmp_path: Path):
    """A staging site made from the real one's backup must not make its templates once more."""
    if "DATABASE_URL" not in site.more:
        pytest.skip("for SQLite a backup says so itself")
    set_aside(site, 1)
    site.must("backup", str(tmp_path / "backup"))
    url = site.more["DATABASE_URL"]
    name = f"{urlsplit(url).path[1:]}_beside"
    in_postgres(f'CREATE DATABASE "{name}"')
    address = urlsplit(url)._replace(path=f"/{name}").geturl()
    beside = Site(site.data, site.sandbox, {**site.more, "DATABASE_URL": address})
    pg_restore(address, tmp_path / "backup")
    try:
        assert beside.run("worker").returncode == 1
        asked = "from templategen import restored; print(restored.is_elsewhere())"
        assert site.must("shell", "-v0", "-c", asked).strip() == "False"
    finally:
        in_postgres(f'DROP DATABASE "{name}" WITH (FORCE)')
