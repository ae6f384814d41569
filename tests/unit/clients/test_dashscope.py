"""The DashScope client, with HTTP faked: what goes out, and the three outcomes of a paid call."""

import contextlib
import json
import re
import socket
import threading
import tracemalloc

import pytest
import requests
import responses

from templategen.clients.dashscope import DashScope, NeverSentError, RefusedError, UnknownOutcomeError

BASE = "https://dashscope.example/api/v1"
SUBMIT = f"{BASE}/services/aigc/image2video/aa-template-generation/"
TASK_ID = "a8532587-fa8c-4ef8-82be-0c46b17950d1"
TASK = f"{BASE}/tasks/{TASK_ID}"
# The API page's samples, their missing commas mended.
SUBMITTED = {
    "output": {"task_id": TASK_ID, "task_status": "PENDING"},
    "request_id": "7574ee8f-38a3-4b1e-9280-11c33ab46e51",
}
DONE = {
    "request_id": "7574ee8f-38a3-4b1e-9280-11c33ab46e51",
    "output": {
        "task_id": TASK_ID,
        "task_status": "SUCCEEDED",
        "template_id": "AACT.xxx.xxx-xxx.xxx",
    },
    "usage": {"video_duration": 10.23, "video_ratio": "standard"},
}


def client(**values):
    return DashScope(**{"base_url": BASE, "api_key": "sk-test", "model": "animate-anyone-template-gen2", **values})


@responses.activate
def test_a_submit_goes_out_as_the_api_page_says():
    responses.post(SUBMIT, json=SUBMITTED)
    task = client(workspace="ws-1").submit_template(video_url="https://bucket.example/clip?sig=%2Ba")
    sent = responses.calls[0].request
    assert task.task_id == SUBMITTED["output"]["task_id"]
    assert task.request_id == SUBMITTED["request_id"]
    assert sent.headers["X-DashScope-Async"] == "enable"
    assert sent.headers["Authorization"] == "Bearer sk-test"
    assert sent.headers["X-DashScope-WorkSpace"] == "ws-1"
    assert sent.headers["Content-Type"] == "application/json"
    assert json.loads(sent.body) == {
        "model": "animate-anyone-template-gen2",
        "input": {"video_url": "https://bucket.example/clip?sig=%2Ba"},
        "parameters": {},
    }


@responses.activate
def test_the_trailing_slash_is_a_setting():
    responses.post(SUBMIT.rstrip("/"), json=SUBMITTED)
    client(trailing_slash=False).submit_template(video_url="https://x.example/")
    assert responses.calls[0].request.url == SUBMIT.rstrip("/")


@responses.activate
def test_a_netrc_of_the_machine_takes_no_keys_place(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    responses.post(SUBMIT, json=SUBMITTED)
    client().submit_template(video_url="https://x.example/")
    assert responses.calls[0].request.headers["Authorization"] == "Bearer sk-test"


@responses.activate
def test_a_finished_task_has_its_template_id_and_usage():
    responses.get(TASK, json=DONE)
    task = client().get_task(TASK_ID)
    assert task.succeeded
    assert (task.template_id, task.video_duration, task.video_ratio) == ("AACT.xxx.xxx-xxx.xxx", 10.23, "standard")


@responses.activate
@pytest.mark.parametrize("word", ["SUCCEED", "SUCCEEDED"])
def test_both_words_for_success_count(word):
    responses.get(TASK, json={**DONE, "output": {**DONE["output"], "task_status": word}})
    assert client().get_task(TASK_ID).succeeded


@responses.activate
def test_a_failed_task_may_have_no_code_and_no_message():
    responses.get(TASK, json={"output": {"task_id": TASK_ID, "task_status": "FAILED"}})
    task = client().get_task(TASK_ID)
    assert (task.status, task.code, task.message) == ("FAILED", "", "")


@responses.activate
@pytest.mark.parametrize(
    "answer", [{}, {"output": None}, {"output": {"task_id": 7, "task_status": ["x"]}, "usage": []}]
)
def test_an_odd_answer_to_a_look_is_a_task_still_at_work(answer):
    responses.get(TASK, json=answer)
    assert not client().get_task(TASK_ID).succeeded


@responses.activate
@pytest.mark.parametrize(
    ("status", "code"), [(400, "Arrearage"), (401, "InvalidApiKey"), (429, "Throttling.RateQuota")]
)
def test_a_refusal_means_that_nothing_was_made(status, code):
    responses.post(
        SUBMIT, status=status, json={"code": code, "message": "no", "request_id": "r"}, headers={"Retry-After": "7"}
    )
    with pytest.raises(RefusedError) as caught:
        client().submit_template(video_url="https://x.example/")
    assert (caught.value.status, caught.value.code, caught.value.request_id, caught.value.retry_after) == (
        status,
        code,
        "r",
        7.0,
    )


@responses.activate
@pytest.mark.parametrize(
    "problem",
    [
        {"status": 500, "json": {"code": "InternalError"}},
        {"status": 503, "body": "busy"},
        {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
        {"status": 303, "headers": {"Location": "http://"}},
        {"status": 307, "json": SUBMITTED, "headers": {"Location": "/x"}},
        {"status": 304, "json": SUBMITTED},
        {"body": UnicodeEncodeError("latin-1", "x", 0, 1, "after it was sent")},
        {"body": requests.exceptions.InvalidURL("after it was sent")},
        {"status": 200, "body": "<html>"},
        {"status": 200, "json": {"output": {}}},
        {"body": requests.ReadTimeout("slow")},
        {"body": requests.ConnectionError("Connection aborted", ConnectionResetError(104))},
        {"body": requests.exceptions.ChunkedEncodingError("cut")},
    ],
)
def test_without_a_usable_answer_the_outcome_is_unknown(problem):
    responses.post(SUBMIT, **problem)
    with pytest.raises(UnknownOutcomeError):
        client().submit_template(video_url="https://x.example/")
    assert len(responses.calls) == 1


def test_a_refused_connection_was_never_sent(free_port):
    with pytest.raises(NeverSentError):
        client(base_url=f"http://127.0.0.1:{free_port}/api/v1").submit_template(video_url="https://x.example/")


@responses.activate
def test_a_connect_time_out_was_never_sent():
    responses.post(SUBMIT, body=requests.ConnectTimeout("no route"))
    with pytest.raises(NeverSentError):
        client().submit_template(video_url="https://x.example/")


@responses.activate
def test_a_page_of_the_task_list():
    rows = [{"task_id": TASK_ID, "gmt_create": 1703079391896, "status": "RUNNING"}, "odd"]
    responses.get(f"{BASE}/tasks/", json={"data": rows, "page_no": 1, "page_size": 10, "total_page": 3, "total": 21})
    page = client().list_tasks()
    assert (page.rows, page.pages, page.total) == (rows[:1], 3, 21)
    assert "model_name=animate-anyone-template-gen2" in responses.calls[0].request.url


@responses.activate
def test_a_cancel_that_comes_too_late_is_a_refusal():
    responses.post(f"{BASE}/tasks/t1/cancel", status=400, json={"code": "UnsupportedOperation"})
    with pytest.raises(RefusedError, match="UnsupportedOperation"):
        client().cancel_task("t1")


@responses.activate
def test_what_no_database_would_take_is_mended_at_the_door():
    output = {"task_id": TASK_ID, "task_status": "FAILED", "code": "x" * 500, "message": "cut \ud83d\x00 off"}
    responses.get(TASK, json={"output": output, "usage": {"video_duration": 10**400}})
    task = client().get_task(TASK_ID)
    assert (len(task.code), task.message, task.video_duration) == (100, "cut ? off", None)


@responses.activate
@pytest.mark.parametrize("length", [-1, -0.5, 1e300, 10**400, "12", None, True])
def test_a_length_that_no_video_has_counts_as_not_said(length):
    responses.get(TASK, json={**DONE, "usage": {"video_duration": length}})
    assert client().get_task(TASK_ID).video_duration is None


@responses.activate
def test_a_long_template_id_is_kept_whole():
    responses.get(TASK, json={**DONE, "output": {**DONE["output"], "template_id": "A" * 900}})
    assert client().get_task(TASK_ID).template_id == "A" * 900


@pytest.mark.parametrize("key", ["sk-real\n", "sk-ключ", "sk-\ud800"])
def test_a_key_that_no_header_takes_means_never_sent(key):
    with pytest.raises(NeverSentError):
        client(api_key=key).submit_template(video_url="https://x.example/")


@responses.activate
@pytest.mark.parametrize(
    "date", ["Thu, 01 Jan 99999999999999999999 00:00:00 GMT", "Thu, 32 Jan 2026 00:00:00", "x", ""]
)
def test_an_absurd_date_spoils_no_answer(date):
    responses.post(SUBMIT, json=SUBMITTED, headers={"Date": date, "Retry-After": date})
    assert client().submit_template(video_url="https://x.example/").task_id == SUBMITTED["output"]["task_id"]
    responses.get(f"{BASE}/tasks/", json={"data": [], "total": 0}, headers={"Date": date})
    assert client().list_tasks().answered_at is None


@responses.activate
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("Sun, 01 Nov 2026 12:00:07 GMT", 7.0),
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 02 Nov 2026 12:00:00 GMT", 3600.0),
    ],
)
def test_a_wait_may_be_told_as_a_moment(status, until, seconds):
    headers = {"Date": "Sun, 01 Nov 2026 12:00:00 GMT", "Retry-After": until}
    responses.get(TASK, status=status, json={}, headers=headers)
    with pytest.raises(RefusedError if status == 429 else UnknownOutcomeError) as caught:
        client().get_task(TASK_ID)
    assert caught.value.retry_after == seconds


class Peer:
    """A server of raw answers; ``heard`` has the request lines of each connection."""

    def __init__(self, answer):
        self.heard, self._answer = [], answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._socket.accept()
                self.heard.append([])
                threading.Thread(target=self._serve, args=(connection, self.heard[-1]), daemon=True).start()

    def _serve(self, connection, heard):
        # Whoever has heard enough goes away.
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                heard.append(line.split()[0].decode())
                length = 0
                while (header := lines.readline()).strip():
                    length = int(header.split()[1]) if header.lower().startswith(b"content-length") else length
                lines.read(length)
                connection.sendall(self._answer)

    def close(self):
        self._socket.close()


@pytest.fixture
def peer():
    peers = []

    def start(head, body=b"{}"):
        peers.append(Peer(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


def test_a_redirect_to_an_address_that_cannot_be_read_was_sent_all_the_same(peer):
    server = peer(b"303 See Other\r\nLocation: /tasks/\xe9")
    with pytest.raises(UnknownOutcomeError):
        client(base_url=server.url).submit_template(video_url="https://x.example/")
    assert server.heard == [["POST"]]


def test_a_submit_takes_no_connection_that_was_kept_open(peer):
    server = peer(b"200 OK", json.dumps(SUBMITTED).encode())
    dashscope = client(base_url=server.url)
    dashscope.get_task(TASK_ID)
    dashscope.get_task(TASK_ID)
    dashscope.submit_template(video_url="https://x.example/")
    assert server.heard == [["GET", "GET"], ["POST"]]


@responses.activate
def test_no_wait_is_longer_than_an_hour():
    responses.post(SUBMIT, status=429, json={"code": "Throttling"}, headers={"Retry-After": "1" + "0" * 15})
    with pytest.raises(RefusedError) as caught:
        client().submit_template(video_url="https://x.example/")
    assert caught.value.retry_after is None


@responses.activate
@pytest.mark.parametrize(
    ("task_id", "path"),
    [("a#b", "a%23b"), ("a?b", "a%3Fb"), ("../x", "..%2Fx"), ("a/cancel", "a%2Fcancel"), ("a b", "a%20b")],
)
def test_whatever_is_in_a_task_id_no_other_task_is_asked_for(task_id, path):
    responses.get(re.compile(".*"), json={})
    responses.post(re.compile(".*"), json={})
    client().get_task(task_id)
    client().cancel_task(task_id)
    assert [call.request.url for call in responses.calls] == [f"{BASE}/tasks/{path}", f"{BASE}/tasks/{path}/cancel"]


@responses.activate
def test_an_answer_about_another_task_is_none():
    responses.get(f"{BASE}/tasks/t1", json=DONE)
    with pytest.raises(UnknownOutcomeError, match="another task"):
        client().get_task("t1")


@responses.activate
@pytest.mark.parametrize("task_id", ["x" * 101, "t\0", "t\ud83d", 7, ["t"], None])
def test_a_task_id_that_cannot_be_kept_as_it_is_leaves_the_outcome_unknown(task_id):
    responses.post(SUBMIT, json={**SUBMITTED, "output": {"task_id": task_id}})
    with pytest.raises(UnknownOutcomeError) as caught:
        client().submit_template(video_url="https://x.example/")
    assert caught.value.request_id == SUBMITTED["request_id"]


def test_an_answer_without_an_end_is_none_and_is_not_kept_in_memory(peer):
    server = peer(b"200 OK", b" " * (40 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(UnknownOutcomeError):
        client(base_url=server.url).get_task(TASK_ID)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20 * 1024 * 1024


@responses.activate
@pytest.mark.parametrize(
    "body", ["<html>", "", "[]", "7", '"x"', "null", "[" * 100_000, "{" * 5, "\x00", "1" * 5000, b"\xff\xfe{"]
)
def test_rubbish_is_no_answer(body):
    responses.get(TASK, body=body)
    responses.post(SUBMIT, body=body)
    with pytest.raises(UnknownOutcomeError):
        client().get_task(TASK_ID)
    with pytest.raises(UnknownOutcomeError):
        client().submit_template(video_url="https://x.example/")
