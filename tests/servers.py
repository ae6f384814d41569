"""Starts PostgreSQL and Redis for tests, on free ports with data that is thrown away afterwards.

    python -m tests.servers --postgres --redis -- python -m pytest tests/integration

runs the command with TEST_DATABASE_URL and TEST_REDIS_URL set; its exit status is the command's. Both servers listen
on loopback only, want a password made for the occasion, and end when this process ends, however it ends.
PostgreSQL refuses to run as root: then it runs as the user ``postgres`` that its package makes.
"""

import argparse
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.ports import free_port

GUARD = Path(__file__).resolve().parent.parent / "templategen" / "guard.py"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
# Nothing here outlives a power cut, so no waiting for the disk.
_POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "logging_collector": "off",
}


class NotInstalledError(Exception):
    """The server's programs are not on this machine; the text says which package has them."""


def postgres_program(name: str) -> str:
    """The path of one of PostgreSQL's programs, of the newest version here. Raises NotInstalledError."""
    here = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(here[-1]) if here else shutil.which(name)
    if not found:
        raise NotInstalledError(f"{name} is not installed: apt-get install postgresql")
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """A running PostgreSQL; yields the address of a database in it, whose user may make further ones."""
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    with _folder("postgres") as folder:
        password, port = secrets.token_hex(16), free_port()
        (folder / "password").write_text(password)
        as_user = _as_postgres(folder)
        data = str(folder / "data")
        subprocess.run(
            [*as_user, initdb, "-D", data, "-U", "templategen", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
             "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"],
            check=True, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        options = [text for name, value in _POSTGRES_SETTINGS.items() for text in ("-c", f"{name}={value}")]
        with _running([*as_user, server, "-D", data, "-p", str(port), *options], folder / "log", port):
            yield f"postgres://templategen:{password}@127.0.0.1:{port}/postgres"


@contextmanager
def redis() -> Iterator[str]:
    """A running Redis that keeps nothing on disk; yields its address, database 0."""
    server = shutil.which("redis-server")
    if not server:
        raise NotInstalledError("redis-server is not installed: apt-get install redis-server")
    with _folder("redis") as folder:
        password, port = secrets.token_hex(16), free_port()
        settings = folder / "redis.conf"
        # In a file: the command line is everybody's to read.
        settings.write_text(
            f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ''\nappendonly no\ndir {folder}\n"
        )
        with _running([server, str(settings)], folder / "log", port):
            yield f"redis://:{password}@127.0.0.1:{port}/0"


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"templategen-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _as_postgres(folder: Path) -> list[str]:
    """What to put before a command so that it does not run as root; the folder becomes that user's."""
    if os.getuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    """The server, under a guard that ends it when this process is killed."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command],
            stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True, cwd="/",
        )  # fmt: skip
    try:
        _wait_for(process, port, log)
        yield
    finally:
        # For PostgreSQL the quick end: it does not wait for those who are still connected.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def main(arguments: list[str]) -> int:
    """Run the command with the servers that were asked for; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--postgres", action="store_true", help="start PostgreSQL: TEST_DATABASE_URL")
    parser.add_argument("--redis", action="store_true", help="start Redis: TEST_REDIS_URL")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as running:
        environment = dict(os.environ)
        try:
            if asked.postgres:
                environment["TEST_DATABASE_URL"] = running.enter_context(postgres())
            if asked.redis:
                environment["TEST_REDIS_URL"] = running.enter_context(redis())
        except NotInstalledError as problem:
            parser.exit(2, f"{parser.prog}: {problem}\n")
        return subprocess.run(asked.command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
