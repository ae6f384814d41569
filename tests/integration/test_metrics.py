"""/metrics: who may read it, and that its numbers are those of the rows."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import User
from templategen import standing, tally
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus, Heartbeat, Lease, Tally
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(autouse=True)
def a_token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def by_token(client: Client, token: str = TOKEN, **more: Any) -> Any:
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}"} | more)


def samples(client: Client) -> dict[tuple[str, ...], float]:
    """(name, label values …) → value."""
    answer = by_token(client)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_to_a_stranger_and_to_members_there_is_nothing(client: Client, owner: User) -> None:
    assert client.get("/metrics").status_code == 404
    client.force_login(owner)
    assert client.get("/metrics").status_code == 404


def test_staff_read_it_if_they_may_see_templates(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    client.force_login(owner)
    assert client.get("/metrics").status_code == 404
    owner.user_permissions.add(Permission.objects.get(codename="view_actiontemplate"))
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-cache" in answer["Cache-Control"]


@pytest.mark.django_db
def test_the_token_opens_it_by_any_name(client: Client) -> None:
    assert by_token(client, Host="10.1.2.3").status_code == 200
    assert client.get("/metrics", headers={"Authorization": f"bearer  {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    "given", ["Bearer wrong", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü", ""]
)
def test_another_token_opens_nothing(client: Client, given: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": given})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert b"templategen_" not in answer.content


@pytest.mark.parametrize("given", ["Bearer", "Bearer ", "Bearer x"])
def test_without_a_token_in_the_settings_none_fits(client: Client, settings: Any, given: str) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": given}).status_code == 401


def test_the_numbers_are_those_of_the_rows(client: Client, owner: User) -> None:
    account, now = account_of(owner), timezone.now()
    for state in State:
        make_template(account, state)
    old = make_template(account, State.QUEUED, changed_at=now - timedelta(hours=1))
    make_template(account, State.READY, deleted_at=now)
    ActionTemplate.objects.filter(state=State.RUNNING).update(next_look_at=now - timedelta(hours=1))
    get_broker().enqueue("x")
    OrmQ.objects.update(lock=now - timedelta(seconds=60))
    Lease.objects.create(name="conductor", owner="x", until=now + timedelta(seconds=9), epoch=3)
    Heartbeat.objects.create(name="queue", at=now - timedelta(seconds=5))
    CredentialStatus.objects.create(key="site", paused_at=now, submits_held_until=now + timedelta(seconds=100))
    tally.count("looks", by=7)
    tally.count("look_errors", 'odd "code"\n')
    tally.flush()
    found = samples(client)
    for state in State:
        assert found["templategen_templates", state.value] == (2 if state == State.QUEUED else 1)
    assert found["templategen_oldest_seconds", "queued"] == pytest.approx(3600, abs=60)
    assert found["templategen_oldest_seconds", "lost"] < 60
    assert ("templategen_oldest_seconds", "ready") not in found
    assert found["templategen_undecided",] == 1
    assert found["templategen_overdue",] == 1
    assert found["templategen_queue_up",] == 1
    assert found["templategen_queue_messages",] == 1
    if standing.queue_is_redis():
        assert ("templategen_queue_oldest_seconds",) not in found
    else:
        assert found["templategen_queue_oldest_seconds",] == pytest.approx(60, abs=30)
    assert found["templategen_lease_changes_total", "conductor"] == 3
    assert found["templategen_lease_held", "conductor"] == 1
    assert found["templategen_heartbeat_age_seconds", "queue"] == pytest.approx(5, abs=30)
    assert found["templategen_credential_paused", "site"] == 1
    assert found["templategen_credential_held_seconds", "submit", "site"] == pytest.approx(100, abs=30)
    assert found["templategen_looks_total",] == 7
    assert found["templategen_look_errors_total", 'odd "code"\n'] == 1
    assert found["templategen_alarms",] == 0
    assert old.name not in by_token(client).content.decode()


@pytest.mark.django_db
def test_a_queue_whose_server_is_away_is_a_number_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> int:
        raise ConnectionError("redis is away")

    monkeypatch.setattr(standing, "queue_size", away)
    found = samples(client)
    assert found["templategen_queue_up",] == 0
    assert ("templategen_queue_messages",) not in found


def test_what_a_database_that_was_away_did_not_take_is_counted_all_the_same(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object) -> None:
        raise OperationalError("server closed the connection")

    for name in ("looks", "submits", "passes"):
        tally.count(name, by=3)
    with monkeypatch.context() as patch:
        patch.setattr(tally, "_add", away)
        with pytest.raises(OperationalError):
            tally.flush()
    tally.count("looks")
    tally.flush()
    tally.flush()
    assert dict(Tally.objects.values_list("name", "count")) == {"looks": 4, "submits": 3, "passes": 3}


def test_a_flood_of_codes_is_no_flood_of_lines_and_hides_no_other_counter(client: Client, db: None) -> None:
    for number in range(600):
        tally.count("look_errors", f"Code{number}")
    tally.count("looks", "get", by=7)
    tally.count("submits", "accepted", by=2)
    tally.count("passes", by=9)
    tally.flush()
    found = samples(client)
    assert len(found) < 600
    assert found["templategen_looks_total", "get"] == 7
    assert found["templategen_submits_total", "accepted"] == 2
    assert found["templategen_passes_total",] == 9


def test_a_scrape_asks_few_questions(client: Client, owner: User, django_assert_max_num_queries: Any) -> None:
    for _number in range(5):
        make_template(account_of(owner), State.PENDING)
    with django_assert_max_num_queries(14):
        samples(client)
    with django_assert_max_num_queries(13):
        samples(client)
