"""Addresses of database and queue: what settings make of them, and one clear line where they cannot."""

import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from redis.connection import SSLConnection
from redis.retry import Retry

from templategen import servers
from tests.running import run


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_postgres_address_is_taken_apart_and_options_go_to_the_driver(scheme):
    found = servers.database(f"{scheme}://me:p%40ss@db.example:5433/site?sslmode=require")
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert [found[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "me", "p@ss", "db.example", 5433, "site",
    ]  # fmt: skip
    assert found["OPTIONS"] == {"sslmode": "require", "connect_timeout": servers.CONNECT_SECONDS}
    assert (found["CONN_MAX_AGE"], found["CONN_HEALTH_CHECKS"]) == (600, True)


def test_what_the_address_says_of_connections_counts():
    found = servers.database("postgres://u@h/d?conn_max_age=0&connect_timeout=2")
    assert (found["CONN_MAX_AGE"], found["OPTIONS"]["connect_timeout"]) == (0, 2)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:secret@h/d", "It looks like this: postgres://"),
        ("postgres//u:secret@h/d", "It looks like this: postgres://"),
        ("postgres://u:secret@h:port/d", "is its port a number"),
        ("postgres://u:secret@h:5432/", "names no database"),
        ("postgres://[u:secret@h/d", "It looks like this: postgres://"),
        ("sqlite://:memory:", "names no database"),
    ],
)
def test_a_database_address_that_cannot_be_used_is_said_without_its_password(url, says):
    with pytest.raises(ImproperlyConfigured, match=says) as caught:
        servers.database(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_redis_address_has_password_number_and_tls():
    found = servers.redis("rediss://me:p%40ss@queue.example:6380/3")
    assert {name: found[name] for name in ("username", "password", "host", "port", "db", "ssl")} == {
        "username": "me", "password": "p@ss", "host": "queue.example", "port": 6380, "db": 3, "ssl": True,
    }  # fmt: skip
    assert isinstance(found["retry"], Retry)


def test_the_client_takes_what_a_redis_address_becomes():
    from redis import Redis

    tls = Redis(**servers.redis("rediss://:word@queue.example/1"))
    assert tls.connection_pool.connection_class is SSLConnection
    local = Redis(**servers.redis("unix:///run/redis.sock?db=2"))
    assert local.connection_pool.connection_kwargs["path"] == "/run/redis.sock"


@pytest.mark.parametrize("url", ["http://:secret@h/0", "redis://:secret@h:port/0", "redis://:secret@h:6379/x", "queue"])
def test_a_redis_address_that_cannot_be_used_is_said_without_its_password(url):
    with pytest.raises(ImproperlyConfigured) as caught:
        servers.redis(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "url", "module", "extra"),
    [
        (servers.database, "postgres://u@h/d", "psycopg", "postgres"),
        (servers.redis, "redis://h/0", "redis", "redis"),
    ],
)
def test_a_missing_driver_is_said_with_the_extra_that_brings_it(monkeypatch, read, url, module, extra):
    monkeypatch.setattr(servers, "find_spec", lambda name: None if name == module else sys.modules[name].__spec__)
    with pytest.raises(ImproperlyConfigured, match=rf"pip install -e '\.\[{extra}\]'"):
        read(url)


@pytest.mark.parametrize(("name", "url"), [("DATABASE_URL", "mysql://h/d"), ("REDIS_URL", "queue")])
def test_a_command_ends_with_one_line_and_no_traceback(tmp_path, name, url):
    ended = run(tmp_path, "worker", **{name: url})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"manage.py: {name} is not an address")
    assert ended.stderr.count("\n") == 1
