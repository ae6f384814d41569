"""/healthz and /readyz: what a load balancer is told, by whatever name it calls, and how soon."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from templategen import readiness, standing
from templategen.pipeline_models import Heartbeat, Lease
from templategen.readiness import FAILED, OK, SLOW, Readiness
from tests.ports import free_port
from tests.running import ROOT, environment, wait_until

ALL_OK = {"database": OK, "migrations": OK, "static": OK, "worker": OK, "conductor": OK, "queue": OK}
NOT_CALLED_SO = {"headers": {"Host": "10.1.2.3"}}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered of what was asked before."""
    monkeypatch.setattr(readiness, "of_this_process", Readiness(readiness.CHECKS))
    readiness.forget()


@pytest.fixture
def at_work(transactional_db: None, fresh: None) -> None:
    """A worker that is at work."""
    now = timezone.now()
    Heartbeat.objects.create(name=standing.QUEUE, at=now)
    Lease.objects.create(name=standing.CONDUCTOR, owner="somebody", until=now + timedelta(hours=1), epoch=1)


def checks(client: Client, path: str = "/readyz") -> dict[str, str]:
    return client.get(path).json()["checks"]


def test_pages_are_not_ready_where_collectstatic_was_not_run(
    client: Client, at_work: None, settings: object, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "templategen.staticfiles.ModuleManifestStorage"},
    }
    assert client.get("/readyz/web").status_code == 503
    assert checks(client)["static"] == FAILED


def test_the_process_says_that_it_lives_by_any_name_and_asks_nothing(client: Client, settings: object) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get("/healthz", **NOT_CALLED_SO)
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert answer["Cache-Control"] == "no-store"
    assert client.head("/healthz", **NOT_CALLED_SO).status_code == 200
    assert client.post("/healthz").status_code == 405
    assert not answer.cookies


def test_other_pages_mind_their_name_still(client: Client) -> None:
    for path in ("/sign-in/", "/healthz/", "/readyz/other", "/metrics"):
        assert client.get(path, **NOT_CALLED_SO).status_code == 400


@pytest.mark.usefixtures("at_work")
def test_a_site_at_work_is_ready_and_says_words_only(client: Client) -> None:
    answer = client.get("/readyz", **NOT_CALLED_SO)
    assert answer.status_code == 200
    assert answer.json() == {"status": OK, "checks": ALL_OK}
    assert client.head("/readyz").status_code == 200


@pytest.mark.usefixtures("transactional_db", "fresh")
def test_without_a_worker_pages_are_ready_and_work_is_not(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": FAILED, "checks": ALL_OK | {"worker": FAILED, "conductor": FAILED}}
    pages = client.get("/readyz/web")
    assert pages.status_code == 200
    assert pages.json() == {"status": OK, "checks": {"database": OK, "migrations": OK, "static": OK}}


@pytest.mark.usefixtures("at_work")
def test_a_worker_that_has_fallen_silent_is_told(client: Client, settings: object) -> None:
    Heartbeat.objects.update(at=timezone.now() - timedelta(seconds=settings.READY_HEARTBEAT_SECONDS + 1))
    assert checks(client) == ALL_OK | {"worker": FAILED}


@pytest.mark.usefixtures("at_work")
def test_a_lease_that_has_run_out_is_told(client: Client) -> None:
    Lease.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert checks(client) == ALL_OK | {"conductor": FAILED}


@pytest.mark.usefixtures("at_work")
@pytest.mark.skipif(standing.queue_is_redis(), reason="a Redis queue tells no age")
def test_work_that_nobody_takes_is_told(client: Client, settings: object) -> None:
    settings.READY_QUEUE_SECONDS = 300
    now = timezone.now()
    for age in (-500, 0, 200):
        OrmQ.objects.create(key="templategen", payload="x", lock=now - timedelta(seconds=age))
    assert Readiness(readiness.CHECKS).ask(["queue"]) == {"queue": OK}
    OrmQ.objects.create(key="templategen", payload="x", lock=now - timedelta(seconds=310))
    assert checks(client) == ALL_OK | {"queue": FAILED}


@pytest.mark.usefixtures("at_work")
def test_a_redis_queue_is_judged_by_its_length(
    client: Client, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "queue_is_redis", lambda: True)
    monkeypatch.setattr(standing, "queue_size", lambda: settings.READY_QUEUE_LENGTH)
    assert Readiness(readiness.CHECKS).ask(["queue"]) == {"queue": OK}
    monkeypatch.setattr(standing, "queue_size", lambda: settings.READY_QUEUE_LENGTH + 1)
    assert checks(client) == ALL_OK | {"queue": FAILED}


@pytest.mark.usefixtures("at_work")
def test_a_queue_whose_server_is_away_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> int:
        raise ConnectionError("redis is away")

    monkeypatch.setattr(standing, "queue_is_redis", lambda: True)
    monkeypatch.setattr(standing, "queue_size", away)
    assert checks(client) == ALL_OK | {"queue": FAILED}


@pytest.mark.usefixtures("at_work")
def test_a_migration_that_has_not_run_is_told(client: Client) -> None:
    from django.db import connection

    recorder = MigrationRecorder(connection)
    newest = recorder.migration_qs.filter(app="templategen").order_by("name").last().name
    recorder.record_unapplied("templategen", newest)
    try:
        assert checks(client) == ALL_OK | {"migrations": FAILED}
        assert client.get("/readyz/web").status_code == 503
    finally:
        recorder.record_applied("templategen", newest)


def test_without_a_database_nothing_is_ready() -> None:
    def away() -> bool:
        raise OSError("away")

    asked = Readiness({"database": away, "worker": lambda: True})
    assert asked.ask(["database", "worker"]) == {"database": FAILED, "worker": FAILED}


def test_a_database_that_hangs_costs_one_thread_and_a_bounded_time() -> None:
    release, begun = threading.Event(), []

    def hangs() -> bool:
        begun.append(threading.get_ident())
        return release.wait(20)

    asked = Readiness({"database": hangs, "worker": lambda: True})
    started = time.monotonic()
    for _time in range(3):
        assert asked.ask(["database", "worker"], bound_s=0.1) == {"database": SLOW, "worker": SLOW}
    # Not until it goes on, which is after 20 s.
    assert time.monotonic() - started < 15
    assert len(begun) == 1
    release.set()
    assert asked.ask(["database", "worker"]) == {"database": OK, "worker": OK}


def test_an_answer_serves_everybody_who_asks_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "KEPT_S", 60.0)
    count = []
    asked = Readiness({"database": lambda: bool(count.append(1) or True)})
    for _time in range(50):
        assert asked.ask(["database"]) == {"database": OK}
    assert len(count) == 1


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    asked = Readiness({"database": lambda: True, "worker": lambda: False})
    caplog.set_level("INFO", "templategen.readiness")
    for _time in range(3):
        asked.ask(["worker"])
    ours = [record for record in caplog.records if record.name == "templategen.readiness"]
    assert [(record.message, record.worker) for record in ours] == [("not ready", FAILED)]


def test_a_real_web_process_answers_before_its_database_is_made(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "templategen.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4"],
        cwd=ROOT,
        env=environment(tmp_path, PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(method: str, path: str) -> tuple[int, bytes, str] | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, headers={"Host": "node-7", "X-Request-ID": "balancer-00001"})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers["X-Request-ID"]
        except OSError:
            return None
        finally:
            connection.close()

    try:
        assert wait_until(lambda: ask("GET", "/healthz"), what="an answer") == (200, b"ok\n", "balancer-00001")
        assert ask("HEAD", "/healthz") == (200, b"", "balancer-00001")
        status, body, _request_id = ask("GET", "/readyz/web")
        checks = {"database": "ok", "migrations": "failed", "static": "failed"}
        assert (status, json.loads(body)) == (503, {"status": "failed", "checks": checks})
    finally:
        server.terminate()
        server.wait(60)
