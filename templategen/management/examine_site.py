"""The doctor's steps on this machine and at DashScope."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import run_checks
from django.core.checks.messages import ERROR
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.models import Credential
from templategen import credential_status, restored, standing
from templategen.clients.build import dashscope
from templategen.management.examination import ProblemError, Step
from templategen.pipeline_models import Heartbeat

BEAT_WITHIN = timedelta(seconds=90)


def machine_steps() -> list[Step]:
    """Settings, database, worker, and what is known of accounts' own keys: they are theirs, and not tried here."""
    return [
        Step(_("Settings"), _settings),
        Step(_("Database"), _database, gate=True),
        Step(_("Queue"), _queue),
        Step(_("Worker"), _worker),
        Step(_("Pauses"), _pauses),
        Step(_("Accounts' own API keys"), _own_keys),
    ]


def dashscope_steps() -> list[Step]:
    """Host, then one call that costs nothing: the list of tasks."""
    return [
        Step(_("DashScope region"), _dashscope_region, gate=True),
        Step(_("DashScope key, base URL and workspace"), _dashscope_list),
    ]


def _told(moment: datetime) -> str:
    """A time to the minute, in the site's zone."""
    local = timezone.localtime(moment)
    return f"{local:%Y-%m-%d %H:%M} {local.tzname()}"


def _settings() -> str:
    found = [message for message in run_checks() if message.level >= ERROR]
    if found:
        what = " ".join(str(message.msg) for message in found)
        raise ProblemError(what, " ".join(str(message.hint or message.id) for message in found))
    mode = _("the sandbox stands in for Alibaba") if settings.USE_SANDBOX else _("Alibaba is configured")
    return _("%(mode)s; site %(site)s") % {"mode": mode, "site": settings.SITE_URL}


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as problem:
        raise ProblemError(str(problem).strip(), _("look at DATABASE_URL, and whether the server runs.")) from problem
    if missing:
        raise ProblemError(
            _("%(count)d migrations are missing") % {"count": len(missing)},
            _('run "manage.py migrate" ("manage.py up" does so by itself).'),
        )
    return str(connection.display_name)


def _queue() -> str:
    try:
        waiting = standing.queue_length()
    except Exception as problem:  # the broker's client is an extra: its errors cannot be named here
        mend = _("look at REDIS_URL, and whether the server runs; until then nothing is checked or sent.")
        raise ProblemError(str(problem).strip(), mend) from problem
    return _("%(count)d messages wait") % {"count": waiting}


def _pauses() -> str:
    """None is paused: a paused one holds every template that waits for it."""
    rows = credential_status.paused()
    if not rows:
        return _("none is paused")
    keys = ", ".join(f"{row.key} ({row.pause_code}, {_told(row.paused_at)})" for row in rows if row.paused_at)
    raise ProblemError(
        _("paused: %(keys)s") % {"keys": keys},
        _("the administrator's pipeline page says why, what to do, and has the button to resume."),
        grave=False,
    )


def _worker() -> str:
    if restored.looks_elsewhere():
        # Advice to start a worker would lead nowhere: it refuses.
        raise ProblemError(
            _("this database was put back from a backup, or moved: no worker works on it"),
            _('run "manage.py after_restore" first, then start the worker (docs/operations.md, "Backup and restore").'),
        )
    beat = Heartbeat.objects.filter(name="queue").values_list("at", flat=True).first()
    start = _('start "manage.py worker" ("manage.py up" does so by itself).')
    if beat is None:
        raise ProblemError(_("no worker has run yet"), start, grave=False)
    age = timezone.now() - beat
    if age > BEAT_WITHIN:
        raise ProblemError(_("the queue last moved at %(time)s") % {"time": _told(beat)}, start, grave=False)
    return _("the queue moved %(seconds)d s ago") % {"seconds": age.total_seconds()}


def _own_keys() -> str:
    """How many, and what their last checks said; read, not asked."""
    own = Credential.objects.filter(retired_at=None)
    found = own.aggregate(
        count=Count("pk"), refused=Count("pk", filter=Q(check_result=Credential.Check.REFUSED)), last=Max("checked_at")
    )
    if not found["count"]:
        return _("none")
    last = _told(found["last"]) if found["last"] else _("unknown")
    words = {"count": found["count"], "refused": found["refused"], "time": last}
    text = _("%(count)d in use, refused at their last check: %(refused)d; the latest check was at %(time)s") % words
    unreadable = sum(not credentials.is_readable(row) for row in own.iterator())
    if unreadable:
        raise ProblemError(
            _("%(unreadable)d of %(count)d cannot be read") % {"unreadable": unreadable, **words},
            _("put the key that they were encrypted with back into CREDENTIAL_KEYS."),
        )
    if found["refused"]:
        raise ProblemError(text, _('their owners mend that on the page "Alibaba API key".'), grave=False)
    return text


def _dashscope_region() -> str:
    """AnimateAnyone is in Beijing only (alibaba.md 7)."""
    host = urlsplit(settings.DASHSCOPE_BASE_URL).hostname or ""
    known = host == "dashscope.aliyuncs.com" or host.endswith(".cn-beijing.maas.aliyuncs.com")
    if settings.USE_SANDBOX or known:
        return host
    mend = _("set DASHSCOPE_BASE_URL to https://dashscope.aliyuncs.com/api/v1, with a key of the Beijing region.")
    if host.endswith((".aliyuncs.com", ".aliyun.com")):
        raise ProblemError(_("%(host)s is not in Beijing, where alone AnimateAnyone is") % {"host": host}, mend)
    raise ProblemError(_("%(host)s is no host of Alibaba's: a proxy?") % {"host": host or "?"}, mend, grave=False)


def _dashscope_list() -> str:
    page = dashscope().list_tasks(page_size=1)
    return _("the key is taken; %(count)d tasks of %(model)s in the last 24 hours") % {
        "count": page.total,
        "model": settings.DASHSCOPE_MODEL,
    }
