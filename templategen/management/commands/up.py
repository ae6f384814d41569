"""``manage.py up``: everything a site needs, with one command and one combined log."""

import errno
import http.client
import os
import socket
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.first import make_first
from accounts.links import sign_in_path
from accounts.models import User
from templategen.clients.build import storage
from templategen.clients.storage import StorageError
from templategen.management.asked import AskedToStop
from templategen.management.bucket_rules import apply_rules, site_origins
from templategen.management.children import manage, python
from templategen.management.data_lock import LockedError, data_lock
from templategen.supervise import CombinedLog, Supervisor

PAUSE_S = 0.1
EVERY_INTERFACE = ("0.0.0.0", "::", "")  # noqa: S104 -- compared, not bound
SANDBOX_START_S = 30.0
WEB_START_S = 60.0


class NotStartedError(Exception):
    """A child did not answer in time; the text says which and what to look at."""


class Command(BaseCommand):
    """Exit status: 0 stopped as asked; 1 already running, or it could not start; 2 a port is taken."""

    help = _("Runs the whole site: prepares the data, starts web, worker and sandbox, says the address. Ctrl-C stops.")
    # Checked in handle(), by the process that has the right addresses.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen."""
        parser.add_argument("--port", type=_port, default=8000, help=_("The site's port (8000)."))
        parser.add_argument("--host", default="127.0.0.1", help=_("The site's address to listen on (127.0.0.1)."))
        parser.add_argument("--sandbox-port", type=_port, help=_("The sandbox's port (9000)."))
        parser.add_argument(
            "--api-key",
            action="append",
            default=[],
            metavar="KEY=ACCOUNT",
            help=_("One more API key that the sandbox takes, and whose it is; repeatable (docs/sandbox.md)."),
        )

    def handle(
        self, *, host: str, port: int, sandbox_port: int | None, api_key: Sequence[str], **_options: Any
    ) -> None:
        """Run until asked to stop."""
        _use_addresses(host, port, sandbox_port)
        self.check()
        if api_key and not settings.USE_SANDBOX:
            raise CommandError(
                _("--api-key is for the sandbox, and Alibaba is configured: no sandbox is started."), returncode=2
            )
        log = CombinedLog(sys.stdout)

        def say(text: str) -> None:
            log.line("up", text)

        asked = AskedToStop()
        _require_writable(settings.DATA_DIR)
        try:
            with data_lock(settings.DATA_DIR, settings.SITE_URL, settings.SANDBOX_URL):
                _require_free_ports(host, port)
                _Site(say, log, asked, host, port, api_keys=api_key).run()
        except LockedError as locked:
            raise CommandError(
                _("Templategen already runs on this data (process %(pid)s), at %(address)s. Use that one, stop it "
                  "first, or choose another folder with TEMPLATEGEN_DATA.")
                % {"pid": locked.pid or "?", "address": locked.address or "?"}
            ) from None  # fmt: skip
        except NotStartedError as problem:
            raise CommandError(str(problem)) from None
        except OperationalError as problem:
            raise CommandError(
                _("The database does not answer: %(problem)s. Look at DATABASE_URL, or where that is not set, at "
                  "TEMPLATEGEN_DATA.") % {"problem": str(problem).strip()}
            ) from None  # fmt: skip


class _Site:
    """The children of one ``up``, from start to stop."""

    def __init__(
        self,
        say: Callable[[str], None],
        log: CombinedLog,
        asked: AskedToStop,
        host: str,
        port: int,
        *,
        api_keys: Sequence[str],
    ) -> None:
        self._say = say
        self._asked = asked
        self._host = host
        self._port = port
        self._api_keys = api_keys
        self._supervisor = Supervisor(say, log)

    def run(self) -> None:
        """Start, say the address, keep going until asked to stop, stop. NotStartedError when a child never answers."""
        try:
            self._start()
            while not self._asked.once():
                time.sleep(PAUSE_S)
                self._supervisor.tend()
        finally:
            if self._asked.once():
                self._say(_("Stopping …"))
            # The sandbox last: what is in hand may still need it.
            self._supervisor.stop(["web", "worker"], hurry=self._asked.again)
            self._supervisor.stop(["sandbox"], hurry=self._asked.again)
        self._say(_("Stopped."))

    def _start(self) -> None:
        self._say(_("Preparing the data in %(folder)s") % {"folder": settings.DATA_DIR})
        if settings.USE_SANDBOX:
            self._supervisor.start(_sandbox(self._api_keys))
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        user = make_first()
        self._supervisor.start(_web(self._host, self._port))
        self._supervisor.start(manage("worker", "worker", "--stop-seconds", "8", stop_seconds=15))
        if settings.USE_SANDBOX:
            self._wait_for("sandbox", _address(settings.SANDBOX_URL), "/_sandbox/", SANDBOX_START_S)
            self._set_bucket_rules()
        self._wait_for("web", (_reachable(self._host), self._port), "/", WEB_START_S)
        if not self._asked.once():
            self._announce(user)

    def _set_bucket_rules(self) -> None:
        if self._asked.once():
            return
        local = [f"http://{name}:{self._port}" for name in ("127.0.0.1", "localhost")]
        try:
            apply_rules(storage(), origins=sorted({*site_origins(), *local}), keep_others=False)
        except StorageError as problem:
            raise NotStartedError(
                _("The sandbox refused its bucket's rules (%(code)s). Is another program on its port?")
                % {"code": problem.code}
            ) from problem

    def _wait_for(self, name: str, address: tuple[str, int], path: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._asked.once():
            self._supervisor.tend()
            if self._supervisor.alive(name) and _answers(address, path):
                return
            if time.monotonic() > until:
                raise NotStartedError(
                    _("%(name)s does not answer after %(seconds)d s. The lines above that begin with \"%(name)s |\" "
                      "say why.") % {"name": name, "seconds": seconds}
                )  # fmt: skip
            time.sleep(PAUSE_S)

    def _announce(self, user: User) -> None:
        self._say(_("Templategen runs at %(address)s/") % {"address": settings.SITE_URL})
        if user.is_active and not user.has_usable_password():
            self._say(_("Sign in here (works once): %(link)s") % {"link": settings.SITE_URL + sign_in_path(user)})
        else:
            self._say(_("Sign in at %(link)s") % {"link": settings.SITE_URL + reverse("accounts:sign_in")})
        if settings.USE_SANDBOX:
            self._say(_("Templates come from the sandbox: their IDs work with no model. The README says how to "
                        "configure Alibaba."))  # fmt: skip
        if self._host in EVERY_INTERFACE and urlsplit(settings.SITE_URL).hostname in ("127.0.0.1", "::1", "localhost"):
            self._say(_("Listening on every interface, but this address works on this machine only, and requests for "
                        "another one are refused. For other machines start again with "
                        "TEMPLATEGEN_SITE_URL=http://NAME:%(port)d, where NAME is this machine's name or address for "
                        "them.") % {"port": self._port})  # fmt: skip
            if settings.USE_SANDBOX:
                self._say(_("The sandbox listens on this machine only: other machines' browsers cannot upload to it."))
        self._say(_("Ctrl-C stops everything."))


def _port(text: str) -> int:
    """A port for argparse."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 65535:
        raise ArgumentTypeError(_("%(text)s is no port: choose 1 to 65535.") % {"text": text})
    return number


def _use_addresses(host: str, port: int, sandbox_port: int | None) -> None:
    """Begin again with the flags' addresses in the environment, where settings were read with other ones.

    Settings are read once, before a command sees its flags; a fresh start of the same process is the one way that
    leaves no part of it with the old values. What the environment says of the site's own address is left alone.
    """
    wanted = {"TEMPLATEGEN_SITE_URL": settings.SITE_URL, "TEMPLATEGEN_SANDBOX_URL": settings.SANDBOX_URL}
    if not {"TEMPLATEGEN_SITE_URL", "TEMPLATEGEN_SITE_URL_FILE"} & os.environ.keys():
        wanted["TEMPLATEGEN_SITE_URL"] = f"http://{_bracketed(_reachable(host))}:{port}"
    if sandbox_port is not None:
        wanted["TEMPLATEGEN_SANDBOX_URL"] = f"http://127.0.0.1:{sandbox_port}"
    if wanted != {"TEMPLATEGEN_SITE_URL": settings.SITE_URL, "TEMPLATEGEN_SANDBOX_URL": settings.SANDBOX_URL}:
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **wanted})  # noqa: S606


def _reachable(host: str) -> str:
    """Where a listener on ``host`` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _require_writable(folder: Path) -> None:
    """Before anything is begun: a folder that can be read only fails late, in some child's log."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise CommandError(
            _("The data folder %(folder)s cannot be written: %(problem)s. Let this user write it, or name another one "
              "with TEMPLATEGEN_DATA.") % {"folder": folder, "problem": problem.strerror}
        ) from None  # fmt: skip


def _require_free_ports(host: str, port: int) -> None:
    """Exit status 2 with one line, while nothing has been started yet."""
    wanted = [("--port", host, port)]
    if settings.USE_SANDBOX:
        wanted.append(("--sandbox-port", *_address(settings.SANDBOX_URL)))
    if len({number for _flag, _host, number in wanted}) < len(wanted):
        raise CommandError(
            _("--port and --sandbox-port must differ: both are %(port)d.") % {"port": port}, returncode=2
        )
    for flag, address, number in wanted:
        try:
            _listen(address, number)
        except OSError as problem:
            taken = problem.errno == errno.EADDRINUSE
            raise CommandError(
                _("Port %(port)d on %(host)s cannot be used: %(problem)s. Choose another with %(flag)s.")
                % {
                    "port": number,
                    "host": address,
                    "problem": _("another program has it") if taken else problem.strerror,
                    "flag": flag if taken or problem.errno == errno.EACCES else "--host",
                },
                returncode=2,
            ) from None


def _listen(host: str, port: int) -> None:
    """Listen for a moment, as the child will. OSError where that cannot be."""
    family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()


def _answers(address: tuple[str, int], path: str) -> bool:
    """Whether something there speaks HTTP and is not broken."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sandbox(api_keys: Sequence[str]) -> Any:
    host, port = _address(settings.SANDBOX_URL)
    arguments = ["--host", host, "--port", str(port), "--data", str(settings.DATA_DIR / "sandbox")]
    # Told any key it takes no other: the site's own goes with them.
    own = [f"{settings.DASHSCOPE_API_KEY}=sandbox"] if api_keys else []
    arguments += [f"--api-key={key}" for key in (*own, *api_keys)]
    return python("sandbox", "-m", "templategen.sandbox", *arguments, stop_seconds=5)


def _web(host: str, port: int) -> Any:
    arguments = (
        "-m", "gunicorn", "-c", "python:templategen.gunicorn_config", "templategen.wsgi",
        "--bind", f"{_bracketed(host)}:{port}", "--graceful-timeout", "4",
    )  # fmt: skip
    return python("web", *arguments, stop_seconds=8)
