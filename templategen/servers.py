"""The database's and the queue's server, as settings want them, from their addresses in the environment.

Read while settings are made: no Django model, no translation, and no address in a message, for it has the password.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

POSTGRES = frozenset({"postgres", "postgresql", "psql", "pgsql"})
REDIS = frozenset({"redis", "rediss", "unix"})
# Seconds. A server that is away must not hold a page for longer; BLPOP of the queue waits one second at most.
CONNECT_SECONDS = 5
ANSWER_SECONDS = 5


def database(url: str) -> dict[str, Any]:
    """Django's settings for DATABASE_URL: postgres://user:password@host:port/name?sslmode=require, or sqlite:////path.

    Raises ImproperlyConfigured, in one line, for another kind, a broken address or a missing driver.
    """
    scheme = _scheme("DATABASE_URL", url, known=POSTGRES | {"sqlite"}, sample="postgres://user:password@host:5432/name")
    if scheme in POSTGRES:
        _require("psycopg", name="DATABASE_URL", extra="postgres")
    try:
        found: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        raise ImproperlyConfigured("DATABASE_URL cannot be read: is its port a number?") from None
    if not found["NAME"] or found["NAME"] == ":memory:":
        raise ImproperlyConfigured("DATABASE_URL names no database: add /NAME at its end.")
    if scheme in POSTGRES:
        # A connection a thread, kept: making one takes longer than most of what is asked through it.
        found = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True, **found}
        found["OPTIONS"] = {"connect_timeout": CONNECT_SECONDS, **found.get("OPTIONS", {})}
    return found


def redis(url: str) -> dict[str, Any]:
    """What django-q2's Redis broker hands to the client for REDIS_URL: redis[s]://:password@host:port/number.

    A dict, for a URL goes into error reports with its password. Raises ImproperlyConfigured, in one line.
    """
    scheme = _scheme("REDIS_URL", url, known=REDIS, sample="redis://:password@host:6379/0")
    _require("redis", name="REDIS_URL", extra="redis")
    connection, retry, backoff = (import_module(f"redis.{name}") for name in ("connection", "retry", "backoff"))
    try:
        found: dict[str, Any] = connection.parse_url(url)
        # Read past in silence by the client, which would then use number 0: another site's, perhaps.
        number = "" if scheme == "unix" else urlsplit(url).path.strip("/")
        found["db"] = int(number or found.get("db", 0))
    except ValueError:
        raise ImproperlyConfigured("REDIS_URL cannot be read: are its port and database numbers?") from None
    kind = found.pop("connection_class", None)
    if kind is connection.SSLConnection:
        found["ssl"] = True
    if "path" in found:
        found["unix_socket_path"] = found.pop("path")
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        # Once more, over a new connection: the old one may have died unseen. The sweep repeats what is lost.
        "retry": retry.Retry(backoff.NoBackoff(), 1),
        **found,
    }


def mail(url: str) -> dict[str, Any]:
    """Django's settings for EMAIL_URL: smtp+tls://user:password@host:587. Raises ImproperlyConfigured, in one line."""
    sample = "smtp+tls://user:password@host:587"
    _scheme("EMAIL_URL", url, known=frozenset(environ.Env.EMAIL_SCHEMES), sample=sample)
    try:
        found: dict[str, Any] = environ.Env.email_url_config(url)
    except ValueError:
        raise ImproperlyConfigured("EMAIL_URL cannot be read: is its port a number?") from None
    return found


def _scheme(name: str, url: str, *, known: frozenset[str], sample: str) -> str:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in known:
        raise ImproperlyConfigured(f"{name} is not an address that Templategen knows. It looks like this: {sample}")
    return scheme


def _require(module: str, *, name: str, extra: str) -> None:
    if find_spec(module) is None:
        raise ImproperlyConfigured(
            f"{name} is set, and Python's {module} is not installed. Run: pip install -e '.[{extra}]'"
        )
