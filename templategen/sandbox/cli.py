"""The command line of the sandbox."""

import argparse
import fcntl
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from templategen.sandbox.app import App
from templategen.sandbox.config import BadSettingError, Config, Settings, changed
from templategen.sandbox.server import Server


def parser(prog: str = "sandbox", data: Path | None = None) -> argparse.ArgumentParser:
    """The arguments; `data` is the default data folder (none: it must be given)."""
    arguments = argparse.ArgumentParser(prog=prog, description="A local stand-in for Alibaba OSS and DashScope.")
    add = arguments.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=9000)
    add("--data", type=Path, default=data, required=data is None, help="folder for objects and state")
    add("--bucket", action="append", metavar="NAME", help="a bucket to have (repeatable; default: templategen)")
    add("--region", default="cn-beijing")
    add("--access-key-id", default="sandbox")
    add("--access-key-secret", default="sandbox-secret")
    add("--api-key", action="append", metavar="KEY[=ACCOUNT]", help="repeatable; default: sk-sandbox=sandbox")
    add("--run-seconds", type=float, default=Settings.run_seconds, help="how long a task runs")
    add("--running-tasks", type=int, default=Settings.running_tasks, help="tasks at once per Alibaba account")
    add("--retention-hours", type=float, default=Settings.retention_hours, help="how long a finished task is known")
    add("--submits-per-second", type=_rate, default=Settings.submits_per_second, help="per account; 0: no limit")
    add("--queries-per-second", type=_rate, default=Settings.queries_per_second, help="per account; 0: no limit")
    add("--download-seconds", type=float, default=Settings.download_seconds, help="time limit of a task's download")
    add("--allow-v1", action="store_true", help="accept signature version 1, as older buckets do")
    add("--set", action="append", type=_setting, metavar="NAME=JSON", default=[], help="any setting (repeatable)")
    add("--seed", help="make IDs, run times and the dice of faults follow from this text")
    add("--verbose", action="store_true", help="log each request")
    return arguments


def _rate(text: str) -> int | None:
    return int(text) or None


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def config_from(options: argparse.Namespace) -> Config:
    """The configuration; raises BadSettingError."""
    names = [
        "run_seconds",
        "running_tasks",
        "retention_hours",
        "submits_per_second",
        "queries_per_second",
        "download_seconds",
        "allow_v1",
    ]
    settings = changed(Settings(), {name: getattr(options, name) for name in names} | dict(options.set))
    keys = [text.partition("=") for text in options.api_key or ["sk-sandbox=sandbox"]]
    return Config(
        data=options.data,
        host=options.host,
        port=options.port,
        buckets=tuple(options.bucket or ["templategen"]),
        region=options.region,
        access_key_id=options.access_key_id,
        access_key_secret=options.access_key_secret,
        api_keys={key: account or key for key, _, account in keys},
        seed=options.seed,
        settings=settings,
    )


def main(argv: Sequence[str], prog: str = "sandbox", data: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. 2: it could not start, one line on stderr says why."""
    options = parser(prog, data).parse_args(argv)
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO, handlers=[handler])
    try:
        config = config_from(options)
        lock = lock_folder(config.data)
        app = App(config)
    except (BadSettingError, OSError) as error:
        sys.stderr.write(f"{prog}: {error}\n")
        return 2
    try:
        server = Server(config.host, config.port, app, app.idle_seconds)
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"{prog}: cannot listen on {config.host}:{config.port}: {error}. Choose another --port.\n")
        return 2
    app.control.cut_idle = server.cut_idle
    app.runner.start()
    _serve(server)
    app.runner.stop()
    lock.close()
    return 0


class LineFormatter(logging.Formatter):
    """The message with its data behind it, as name=value."""

    _usual = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        data = " ".join(f"{name}={value}" for name, value in record.__dict__.items() if name not in self._usual)
        return f"{super().format(record)} {data}".rstrip()


def lock_folder(data: Path) -> IO[str]:
    """Hold the data folder for this process alone; raises OSError when another sandbox has it."""
    data.mkdir(parents=True, exist_ok=True)
    file = (data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OSError(f"another sandbox already uses the folder {data}; stop it or choose another --data") from None
    return file


def _serve(server: Server) -> None:
    """Serve in a thread of its own, so that the main thread is free to take signals.

    It waits on a pipe that the interpreter writes to when a signal comes, whichever thread the signal was handed to; a
    lock (`Event.wait`) was seen to sleep on.
    """
    wake_end, signal_end = socket.socketpair()
    signal_end.setblocking(False)  # noqa: FBT003  (the library has no name for it)
    signal.set_wakeup_fd(signal_end.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
    threading.Thread(target=server.serve_forever, args=(0.1,), name="server", daemon=True).start()
    host = f"[{server.server_name}]" if ":" in server.server_name else server.server_name
    sys.stdout.write(f"sandbox ready on http://{host}:{server.server_port}\n")
    sys.stdout.flush()
    wake_end.recv(1)
    server.shutdown()
    server.socket.close()


def _noted(_signal: int, _frame: FrameType | None) -> None:
    """A signal needs a handler to reach the pipe."""
