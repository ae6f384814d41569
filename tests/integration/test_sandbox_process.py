"""The sandbox as a process: how it starts, ends, and what a crash may cost (nothing)."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import oss2
import pytest
import requests

from tests.clips import clip_bytes
from tests.dashscope_calls import DashScope, dashscope
from tests.oss_signing import signed_headers, signed_path
from tests.ports import free_port
from tests.sandbox import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION, Sandbox


@pytest.fixture
def api(own_sandbox: Sandbox) -> Iterator[DashScope]:
    """The calls of a sandbox that this test may kill."""
    with dashscope(own_sandbox) as calls:
        yield calls


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start a sandbox that is expected not to come up."""
    command = [sys.executable, "-m", "templategen.sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_a_taken_port_is_one_clear_line_and_status_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start("--port", str(port), "--data", str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert str(port) in done.stderr
    assert "--port" in done.stderr


def test_a_folder_in_use_is_one_clear_line_and_status_2(own_sandbox: Sandbox) -> None:
    done = start("--port", str(free_port()), "--data", str(own_sandbox.data))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(own_sandbox.data) in done.stderr


@pytest.mark.parametrize(
    "wrong", [["--run-seconds=-1"], ["--retention-hours=nan"], ["--running-tasks=x"], ["--port=99999"]]
)
def test_an_impossible_setting_is_refused_at_the_start(tmp_path: Path, wrong: list[str]) -> None:
    done = start("--data", str(tmp_path), *wrong)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_it_ends_cleanly_when_told_to_even_with_open_connections_and_tasks(api: DashScope) -> None:
    sandbox = api.sandbox
    sandbox.settings(run_seconds=60)
    sandbox.wait_for(api.submitted(), "RUNNING")
    with socket.create_connection(("127.0.0.1", sandbox.port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\n")
        assert sandbox.stop() == 0


def test_interrupt_ends_it_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "templategen.sandbox", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sandbox ready on http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_the_management_command_takes_the_same_flags(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "sandbox", "--port", "0", "--data", str(tmp_path), "--run-seconds", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sandbox ready on http://127.0.0.1:")
        process.terminate()
        assert process.wait(60) == 0
    assert (tmp_path / "sandbox.sqlite3").exists()


def test_a_kill_forgets_no_object_no_part_and_no_rule(own_sandbox: Sandbox) -> None:
    auth = oss2.AuthV4(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
    bucket = oss2.Bucket(auth, own_sandbox.url, BUCKET, region=REGION)
    bucket.put_object("kept", b"bytes" * 1000, headers={"Content-Type": "video/mp4"})
    upload = bucket.init_multipart_upload("half").upload_id
    bucket.upload_part("half", upload, 1, b"a" * 102_400)
    bucket.put_bucket_cors(oss2.models.BucketCors([oss2.models.CorsRule(["*"], ["PUT"], ["*"], ["ETag"], 60)]))
    own_sandbox.restart(kill=True)
    got = bucket.get_object("kept")
    assert (got.read(), got.headers["Content-Type"]) == (b"bytes" * 1000, "video/mp4")
    assert bucket.get_bucket_cors().rules[0].allowed_methods == ["PUT"]
    bucket.upload_part("half", upload, 2, b"b")
    bucket.complete_multipart_upload("half", upload, bucket.list_parts("half", upload).parts)
    assert bucket.head_object("half").content_length == 102_401
    bucket.session.session.close()


def test_a_kill_loses_no_task_and_what_ran_goes_on(api: DashScope) -> None:
    sandbox = api.sandbox
    sandbox.settings(run_seconds=60)
    good = api.stored(clip_bytes())
    finished = api.submitted(good)
    sandbox.wait_for(finished, "RUNNING")
    sandbox.settings(run_seconds=0)
    template_id = sandbox.wait_for(finished, "SUCCEEDED")["template_id"]
    sandbox.settings(run_seconds=60)
    running, waiting = api.submitted(good), api.submitted(good)
    sandbox.wait_for(running, "RUNNING")
    sandbox.restart(kill=True)
    assert api.output(finished)["template_id"] == template_id
    assert api.output(running)["task_status"] == "RUNNING"
    assert api.output(waiting)["task_status"] == "PENDING"
    sandbox.settings(run_seconds=0)
    ids = {sandbox.wait_for(task_id, "SUCCEEDED")["template_id"] for task_id in (running, waiting)}
    assert len(ids | {template_id}) == 3
    assert len(sandbox.tasks()) == 3


def test_a_kill_in_the_middle_of_an_upload_leaves_nothing_of_it(own_sandbox: Sandbox) -> None:
    path = signed_path("PUT", "cut")
    with socket.create_connection(("127.0.0.1", own_sandbox.port)) as line:
        line.sendall(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3000000\r\n\r\n".encode())
        line.sendall(b"x" * 2_000_000)
        own_sandbox.restart(kill=True)
    answer = requests.get(own_sandbox.url + signed_path("GET", "cut"), timeout=10)
    assert answer.status_code == 404
    assert [path for path in (own_sandbox.data / "blobs").rglob("*") if path.is_file()] == []


def test_the_same_seed_gives_the_same_ids(tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two"):
        sandbox = Sandbox(tmp_path / name, "--seed=fixed")
        with dashscope(sandbox) as api:
            done = [sandbox.wait_for(api.submitted(api.stored(clip_bytes()))) for _ in range(2)]
        sandbox.stop()
        seen.append([(task["task_id"], task["template_id"]) for task in done])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 2


def test_replaced_and_deleted_objects_leave_no_files(own_sandbox: Sandbox) -> None:
    with requests.Session() as http:
        for _ in range(3):
            http.put(f"{own_sandbox.url}/{BUCKET}/same", data=b"x" * 1000, headers=signed_headers("PUT", "same"))
        files = [path for path in (own_sandbox.data / "blobs").rglob("*") if path.is_file()]
        assert len(files) == 1
        http.delete(f"{own_sandbox.url}/{BUCKET}/same", headers=signed_headers("DELETE", "same"))
    assert not files[0].exists()
