"""`manage.py up`, as a real process on empty data."""

import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.ports import free_port
from tests.running import Running, get, processes_of, run, running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left-over processes in /proc")


@dataclass
class Site:
    """A running `up`."""

    command: Running
    data: Path
    port: int
    sandbox_port: int
    link: str


def arguments(port: int, sandbox_port: int) -> list[str]:
    return ["up", "--port", str(port), "--sandbox-port", str(sandbox_port)]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Site]]:
    """The running site; started (again) on the same data where none runs."""
    data, port, sandbox_port = tmp_path_factory.mktemp("up"), free_port(), free_port()
    started: list[Site] = []
    with ExitStack() as stack:

        def site() -> Site:
            if not started or started[-1].command.process.poll() is not None:
                with_key = (*arguments(port, sandbox_port), "--api-key", "sk-ours-0123456789=ours")
                command = stack.enter_context(running(data, *with_key))
                link = command.wait_for(r"Sign in here \(works once\): (\S+)")[1]
                started.append(Site(command, data, port, sandbox_port, link))
            return started[-1]

        yield site


@pytest.fixture
def site(start: Callable[[], Site]) -> Site:
    """A running `up`; the same for all tests, as long as none has ended it."""
    return start()


def test_it_ends_with_the_address_of_a_site_that_answers(site: Site) -> None:
    assert f"up | Templategen runs at http://127.0.0.1:{site.port}/" in site.command.lines
    status, headers, _ = get(site.port, "/")
    assert status == 302
    assert headers["Location"].startswith("/sign-in/")


def test_the_sign_in_link_lets_in_once(site: Site) -> None:
    path = site.link.removeprefix(f"http://127.0.0.1:{site.port}")
    status, headers, _ = get(site.port, path)
    assert status == 302
    cookie = headers["Set-Cookie"].split(";")[0] if "sessionid" in headers["Set-Cookie"].split(";")[0] else ""
    assert cookie
    assert get(site.port, "/", Cookie=cookie)[1].get("Location", "") == "/a/studio/"
    assert get(site.port, path)[1]["Location"] == "/sign-in/link-gone/"
    assert get(site.port, "/sign-in/link-gone/")[0] == 410


def test_every_line_says_whose_it_is(site: Site) -> None:
    assert all(re.match(r"(up|web|worker|sandbox) \| ", line) for line in site.command.lines), site.command.text


def test_the_sandbox_takes_the_keys_that_it_was_started_with_and_the_sites_own(site: Site) -> None:
    def status(key: str) -> int:
        return get(site.sandbox_port, "/api/v1/tasks/", Authorization=f"Bearer {key}")[0]

    assert [status("sk-sandbox"), status("sk-ours-0123456789"), status("sk-unknown")] == [200, 200, 401]


def test_the_sandbox_takes_uploads_from_the_site_s_pages(site: Site) -> None:
    sandbox = site.sandbox_port
    with socket.create_connection(("127.0.0.1", sandbox), timeout=30) as line:
        line.sendall(
            b"OPTIONS /templategen/clips/x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            + f"Origin: http://localhost:{site.port}\r\nAccess-Control-Request-Method: PUT\r\n\r\n".encode()
        )
        answer = line.makefile().read()
    assert f"Access-Control-Allow-Origin: http://localhost:{site.port}".lower() in answer.lower()


def test_a_clip_becomes_a_template_in_the_running_site(site: Site, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "wave.mp4")
    addresses = {
        "TEMPLATEGEN_SITE_URL": f"http://127.0.0.1:{site.port}",
        "TEMPLATEGEN_SANDBOX_URL": f"http://127.0.0.1:{site.sandbox_port}",
    }
    made = run(site.data, "make_template", str(clip), "--wait", **addresses)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("AACT.")
    assert len(made.stdout.splitlines()) == 1


def test_a_second_up_on_the_same_data_names_the_first_and_leaves_it_alone(site: Site) -> None:
    second = run(site.data, *arguments(free_port(), free_port()))
    assert second.returncode == 1
    assert f"http://127.0.0.1:{site.port}" in second.stderr
    assert get(site.port, "/")[0] == 302


@pytest.mark.parametrize(("flag", "which"), [("--port", 0), ("--sandbox-port", 1)])
def test_a_taken_port_is_one_clear_line(tmp_path: Path, flag: str, which: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = [free_port(), free_port()]
        ports[which] = other.getsockname()[1]
        ended = run(tmp_path, *arguments(*ports))
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert str(ports[which]) in ended.stderr
    assert flag in ended.stderr
    assert not processes_of(tmp_path)


@pytest.mark.parametrize("more", [{}, {"SECRET_KEY": "given"}], ids=["key made here", "key given"])
def test_a_data_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path, more: dict[str, str]) -> None:
    # A file in its place: also root cannot make a folder below that.
    (tmp_path / "file").write_text("")
    ended = run(tmp_path / "file" / "data", *arguments(free_port(), free_port()), **more)
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "TEMPLATEGEN_DATA" in ended.stderr


def test_a_child_that_dies_is_said_so_and_started_again(site: Site) -> None:
    said = len(site.command.lines)
    masters = [pid for pid, line in processes_of(site.data).items() if "guard.py" not in line and "gunicorn" in line]
    os.kill(min(masters), signal.SIGKILL)
    site.command.wait_for(r"up \| web ended \(by signal SIGKILL\); starting it again in 1 s", after=said)
    wait_until(lambda: _answers(site.port), what="the site's second life")
    now = [pid for pid, line in processes_of(site.data).items() if "guard.py" not in line and "gunicorn" in line]
    assert not set(masters) & set(now)


def test_ctrl_c_stops_everything_and_leaves_nothing(site: Site) -> None:
    assert len(processes_of(site.data)) > 8
    assert site.command.end(signal.SIGINT) == 0
    assert site.command.lines[-1] == "up | Stopped."
    assert not processes_of(site.data)


def test_the_first_user_is_kept_and_nothing_stays_when_up_itself_is_killed(site: Site) -> None:
    site.command.end(signal.SIGINT)
    with running(site.data, *arguments(site.port, site.sandbox_port), "--host", "0.0.0.0") as again:
        # Still without a password: a new link, of the same first user.
        link = again.wait_for(r"Sign in here \(works once\): (\S+)")[1]
        assert link.rpartition("/sign-in/")[2].split("/")[0] == site.link.rpartition("/sign-in/")[2].split("/")[0]
        # Listening for others without an address for them is said, with what to do.
        again.wait_for(rf"start again with TEMPLATEGEN_SITE_URL=http://NAME:{site.port}\b")
        again.end(signal.SIGKILL)
        wait_until(lambda: not processes_of(site.data), what="the end of the orphans")


def _answers(port: int) -> bool:
    try:
        return get(port, "/")[0] == 302
    except OSError:
        return False
