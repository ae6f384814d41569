"""Whatever is sent to the sandbox: a proper refusal, never a 500, never a file outside its folder, never a hang."""

import base64
import errno
import hashlib
import json
import socket
from collections.abc import Iterator

import pytest
import requests

from tests.dashscope_calls import MODEL
from tests.oss_signing import signed_headers, signed_path
from tests.sandbox import API_KEY, BUCKET, Sandbox


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A session that leaves no connection behind."""
    with requests.Session() as session:
        yield session


def raw(sandbox: Sandbox, data: bytes) -> bytes:
    """Send bytes as they are; everything that comes back until the connection ends or falls silent."""
    answer = b""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=30) as line:
        line.sendall(data)
        try:
            line.shutdown(socket.SHUT_WR)
            while piece := line.recv(65_536):
                answer += piece
        except ConnectionError:
            pass  # it hung up the hard way
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
    return answer


@pytest.mark.parametrize(
    "key",
    [
        "../../escape",
        "a/../../escape",
        "..",
        "a/./b",
        "/absolute",
        "\\windows",
        "nul\x00byte",
        "line\nbreak",
        "x" * 1024,
        "ü" * 512,
    ],
    ids=lambda key: repr(key)[:20],
)
def test_a_bad_object_name_is_refused(sandbox: Sandbox, http: requests.Session, key: str) -> None:
    path = signed_path("PUT", key)
    request = requests.Request("PUT", sandbox.url, data=b"x").prepare()
    request.url = sandbox.url + path.replace("/../", "/%2E%2E/").replace("/./", "/%2E/")
    answer = http.send(request, timeout=10)
    assert answer.status_code in (400, 403)
    assert b"<Code>" in answer.content
    inside = {path for path in sandbox.data.rglob("*") if path.is_file()}
    assert not [path for path in sandbox.data.parent.rglob("escape*") if path not in inside]


@pytest.mark.parametrize("key", ["x" * 1023, "a..b", "...", "ü/😀 +&=?#%25", "CON", "-rf *", "a//b"])
def test_an_odd_but_valid_object_name_works(sandbox: Sandbox, http: requests.Session, key: str) -> None:
    assert http.put(sandbox.url + signed_path("PUT", key), data=b"odd", timeout=10).status_code == 200
    assert http.get(sandbox.url + signed_path("GET", key), timeout=10).content == b"odd"


XML_BODIES = [
    b"",
    b"no xml",
    b"<open>",
    b"<CompleteMultipartUpload/>",
    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>y</ETag></Part></CompleteMultipartUpload>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
    b"<CompleteMultipartUpload><Part><PartNumber>99999999999999999999</PartNumber><ETag>y</ETag></Part>"
    b"</CompleteMultipartUpload>",
    b'<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload>&b;</CompleteMultipartUpload>',
    b'<?xml version="1.0" encoding="no-such"?><CompleteMultipartUpload/>',
    b"\xff\xfe\x00",
    b"<a>" * 100_000,
    b"<Delete><Object><Key></Key></Object></Delete>",
    b"<CORSConfiguration><CORSRule/></CORSConfiguration>",
    b"<LifecycleConfiguration><Rule/></LifecycleConfiguration>",
    b"x" * (5 << 20),
]


@pytest.mark.parametrize("body", XML_BODIES, ids=lambda body: repr(body[:24]))
def test_a_malformed_body_is_refused(sandbox: Sandbox, http: requests.Session, body: bytes) -> None:
    begun = http.post(sandbox.url + signed_path("POST", "hostile", {"uploads": ""}), timeout=10)
    upload = begun.text.split("<UploadId>")[1].split("<")[0]
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    for method, key, params, headers in (
        ("POST", "hostile", {"uploadId": upload}, {}),
        ("POST", "", {"delete": ""}, {"content-md5": md5}),
        ("PUT", "", {"cors": ""}, {}),
        ("PUT", "", {"lifecycle": ""}, {}),
    ):
        path = signed_path(method, key, params, headers=headers)
        answer = http.request(method, sandbox.url + path, data=body, headers=headers, timeout=20)
        assert answer.status_code == 400
        assert b"<Code>" in answer.content


@pytest.mark.parametrize(
    "query",
    [
        "list-type=2&max-keys=0",
        "list-type=2&max-keys=1001",
        "list-type=2&max-keys=0001000000000",
        "list-type=2&max-keys=%D9%A3",
        "list-type=2&continuation-token=%21%21",
        "list-type=2&continuation-token=%C3%BC",
        "uploads&max-uploads=x",
    ],
)
def test_a_bad_parameter_is_refused(sandbox: Sandbox, http: requests.Session, query: str) -> None:
    params = {}
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        params[name] = requests.utils.unquote(value)
    answer = http.get(sandbox.url + signed_path("GET", "", params), timeout=10)
    assert answer.status_code == 400
    assert b"InvalidArgument" in answer.content


@pytest.mark.parametrize(
    "query", ["acl", "tagging", "x-oss-process=video/snapshot,t_0", "versions", "append&position=0"]
)
def test_a_call_that_is_not_played_says_so(sandbox: Sandbox, http: requests.Session, query: str) -> None:
    params = dict(piece.partition("=")[::2] for piece in query.split("&"))
    answer = http.get(sandbox.url + signed_path("GET", "key", params), timeout=10)
    assert (answer.status_code, b"NotImplemented" in answer.content) == (501, True)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /%FF%FE/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x?a=%FF HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nx",
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999999\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS /%FF HTTP/1.1\r\nHost: a\r\nOrigin: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nOrigin: \xff\r\n\r\n",
        b"POST /api/v1/tasks/%FF/cancel HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-sandbox\r\n\r\n",
        b"GET /api/v1/tasks/%FF HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-sandbox\r\n\r\n",
        b"GET /api/v1/tasks?page_no=%FF HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-sandbox\r\n\r\n",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_broken_http_is_a_4xx(sandbox: Sandbox, data: bytes) -> None:
    answer = raw(sandbox, data)
    status = answer.split(b" ", 2)[1]
    assert status[:1] == b"4" or status in (b"501", b"505")


def test_a_broken_chunked_body_stores_nothing(sandbox: Sandbox, http: requests.Session) -> None:
    path = signed_path("PUT", "hostile/chunked")
    head = f"PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    for body in (b"zz\r\nabc", b"5\r\nab", b"-5\r\nabcde\r\n0\r\n\r\n", b"\r\n", b"FFFFFFFFFFFFFFFFFF\r\n"):
        assert not raw(sandbox, head + body).startswith(b"HTTP/1.1 200")
    assert http.get(sandbox.url + signed_path("GET", "hostile/chunked"), timeout=10).status_code == 404
    assert raw(sandbox, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert http.get(sandbox.url + signed_path("GET", "hostile/chunked"), timeout=10).content == b"abcde"


def test_a_refused_upload_is_told_before_its_body_is_sent(sandbox: Sandbox) -> None:
    head = f"PUT /{BUCKET}/unsigned HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\nExpect: 100-continue\r\n\r\n"
    answer = raw(sandbox, head.encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"100 Continue" not in answer


def test_an_accepted_upload_is_asked_for_its_body(sandbox: Sandbox) -> None:
    head = f"PUT {signed_path('PUT', 'hostile/expect')} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
    answer = raw(sandbox, head.encode() + b"Expect: 100-continue\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_an_upload_without_a_length_is_refused(sandbox: Sandbox) -> None:
    answer = raw(sandbox, f"PUT {signed_path('PUT', 'hostile/nolength')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 411 ")


def test_the_connection_survives_a_refused_body(sandbox: Sandbox, http: requests.Session) -> None:
    refused = http.put(f"{sandbox.url}/{BUCKET}/unsigned", data=b"x" * 9_000_000, timeout=20)
    assert refused.status_code == 403
    assert http.put(sandbox.url + signed_path("PUT", "hostile/after"), data=b"x", timeout=10).status_code == 200


def test_stored_headers_cannot_split_an_answer(sandbox: Sandbox) -> None:
    folded = signed_headers("PUT", "hostile/fold")
    lines = "".join(f"{name}: {value}\r\n" for name, value in folded.items())
    raw(
        sandbox,
        f"PUT /{BUCKET}/hostile/fold HTTP/1.1\r\nHost: a\r\n{lines}Cache-Control: a\r\n Evil: yes\r\n"
        "Content-Length: 1\r\n\r\nx".encode(),
    )
    answer = raw(
        sandbox, f"GET {signed_path('GET', 'hostile/fold')} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nEvil" not in answer
    assert b"\r\n Evil" not in answer
    injected = signed_path("GET", "hostile/fold", {"response-content-type": "a\r\nEvil: yes"})
    assert raw(sandbox, f"GET {injected} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b'"text"',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"model": MODEL}).encode(),
        json.dumps({"model": MODEL, "input": []}).encode(),
        json.dumps({"model": MODEL, "input": {"video_url": 5}}).encode(),
        json.dumps({"model": MODEL, "input": {"video_url": "  "}}).encode(),
        json.dumps({"model": MODEL, "input": {"video_url": "http://a/\ud800"}}).encode(),
        json.dumps({"model": MODEL, "input": {"video_url": "http://a/\x00"}}).encode(),
        json.dumps({"model": MODEL, "input": {"video_url": "http://a/" + "x" * 9000}}).encode(),
        json.dumps({"model": ["x"], "input": {}}).encode(),
        b"x" * (2 << 20),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_malformed_submit_is_refused(sandbox: Sandbox, http: requests.Session, body: bytes) -> None:
    before = len(sandbox.tasks())
    answer = http.post(
        f"{sandbox.api_url}/services/aigc/image2video/aa-template-generation/",
        data=body,
        headers={"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"},
        timeout=20,
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameter")
    assert len(sandbox.tasks()) == before


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "bearer wrong", "Basic sk-sandbox", "sk-sandbox", "\xff"]
)
def test_a_bad_key_is_refused(sandbox: Sandbox, http: requests.Session, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}
    answer = http.get(f"{sandbox.api_url}/tasks", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "InvalidApiKey")


def test_an_unknown_path_of_the_api_is_not_found(sandbox: Sandbox, http: requests.Session) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    for path in ("/nothing", "/tasks/a/b", "/services/aigc/image2video/video-synthesis/"):
        assert http.get(sandbox.api_url + path, headers=headers, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Host": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]"}, 200),
    ],
    ids=str,
)
def test_control_is_for_this_machine_and_no_web_page(
    sandbox: Sandbox, http: requests.Session, headers: dict[str, str], status: int
) -> None:
    every = {"Content-Type": "application/json", **headers}
    answer = http.patch(f"{sandbox.url}/_sandbox/settings", data="{}", headers=every, timeout=10)
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "change",
    [
        {"run_seconds": -1},
        {"run_seconds": "fast"},
        {"run_seconds": True},
        {"running_tasks": 1.5},
        {"running_tasks": None},
        {"allow_v1": 1},
        {"unknown": 1},
        {"submits_per_second": 0},
        [],
        "text",
    ],
    ids=str,
)
def test_an_impossible_setting_changes_nothing(sandbox: Sandbox, change: object) -> None:
    before = sandbox.overview()["settings"]
    with pytest.raises(ValueError, match="error"):
        sandbox.control("PATCH", "settings", change)
    assert sandbox.overview()["settings"] == before
