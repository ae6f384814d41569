"""Each fault that the sandbox can be told to commit."""

import time
from collections.abc import Iterator

import pytest
import requests

from tests.clips import clip_bytes
from tests.dashscope_calls import NOWHERE, DashScope, dashscope
from tests.oss_signing import signed_path
from tests.sandbox import Sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[DashScope]:
    """The calls with the default key."""
    with dashscope(sandbox) as calls:
        yield calls


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A session that leaves no connection behind."""
    with requests.Session() as session:
        yield session


def put(
    http: requests.Session, sandbox: Sandbox, data: bytes = b"x" * 1000, key: str = "faults/a"
) -> requests.Response:
    """Put an object."""
    return http.put(sandbox.url + signed_path("PUT", key), data=data, timeout=10)


def get(http: requests.Session, sandbox: Sandbox, key: str = "faults/a") -> requests.Response:
    """Get an object."""
    return http.get(sandbox.url + signed_path("GET", key), timeout=10)


def test_a_refused_submit_makes_no_task(api: DashScope) -> None:
    before = len(api.sandbox.tasks())
    api.sandbox.fault("submit", "refuse")
    with pytest.raises(requests.ConnectionError):
        api.submit()
    assert len(api.sandbox.tasks()) == before
    assert api.submit().status_code == 200


def test_a_lost_answer_leaves_the_task_that_was_made(api: DashScope) -> None:
    before = len(api.sandbox.tasks())
    api.sandbox.fault("submit", "lose_answer")
    with pytest.raises(requests.ConnectionError):
        api.submit()
    assert len(api.sandbox.tasks()) == before + 1


@pytest.mark.parametrize(
    ("status", "given", "code"),
    [
        (500, {}, "InternalError"),
        (503, {}, "ModelUnavailable"),
        (429, {}, "Throttling.RateQuota"),
        (429, {"code": "CommodityNotPurchased", "message": "Bought?"}, "CommodityNotPurchased"),
        (400, {"code": "Arrearage"}, "Arrearage"),
    ],
)
def test_a_call_is_answered_with_the_given_status(
    api: DashScope, status: int, given: dict[str, str], code: str
) -> None:
    before = len(api.sandbox.tasks())
    api.sandbox.fault("submit", "status", status=status, **given)
    answer = api.submit()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"] == given.get("message", answer.json()["message"])
    assert answer.json()["request_id"]
    assert len(api.sandbox.tasks()) == before
    for place, call in (("get", lambda: api.get("x")), ("list", api.list), ("cancel", lambda: api.cancel("x"))):
        api.sandbox.fault(place, "status", status=status, **given)
        assert call().json()["code"] == code
        assert call().json().get("code") != code


def test_a_fault_can_happen_several_times_or_until_it_is_removed(api: DashScope) -> None:
    api.sandbox.fault("get", "status", status=500, times=2)
    assert [api.get("x").status_code for _ in range(3)] == [500, 500, 200]
    api.sandbox.fault("get", "status", status=503, times=None)
    assert [api.get("x").status_code for _ in range(3)] == [503] * 3
    api.sandbox.clear_faults()
    assert api.get("x").status_code == 200


def test_a_fault_can_be_meant_for_one_task_clip_or_key(
    api: DashScope, http: requests.Session, sandbox: Sandbox
) -> None:
    sandbox.fault("get", "status", match="this-one")
    assert api.get("another").status_code == 200
    assert api.get("this-one").status_code == 500
    sandbox.fault("submit", "status", match="clip-b.mp4")
    assert api.submit("http://127.0.0.1:9/clip-a.mp4").status_code == 200
    assert api.submit("http://127.0.0.1:9/clip-b.mp4").status_code == 500
    sandbox.fault("oss-put", "status", match="faults/b")
    assert put(http, sandbox, key="faults/a").status_code == 200
    assert put(http, sandbox, key="faults/b").status_code == 500


def test_a_slow_answer_comes_late(api: DashScope) -> None:
    api.sandbox.fault("get", "slow", seconds=0.4)
    started = time.monotonic()
    assert api.get("x").status_code == 200
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(("code", "message"), [("InvalidFile.Content", "No human body"), ("", "")])
def test_a_good_clip_fails_as_told(api: DashScope, code: str, message: str) -> None:
    api.sandbox.fault("task", "fail", code=code, message=message)
    url = api.stored(clip_bytes())
    task_id = api.submitted(url)
    api.sandbox.wait_for(task_id, "FAILED")
    output = api.output(task_id)
    assert (output["task_status"], output["code"], output["message"]) == ("FAILED", code, message)
    assert api.sandbox.wait_for(api.submitted(url))["status"] == "SUCCEEDED"


def test_a_forgotten_task_is_unknown_from_then_on(api: DashScope) -> None:
    kept, lost = api.submitted(), api.submitted()
    api.sandbox.fault("task", "forget", match=lost)
    assert api.output(kept)["task_status"] != "UNKNOWN"
    assert api.output(lost)["task_status"] == "UNKNOWN"
    assert api.output(lost)["task_status"] == "UNKNOWN"
    in_list = api.submitted()
    api.sandbox.fault("task", "forget", match=in_list)
    listed = {row["task_id"] for row in api.list({"page_size": 100}).json()["data"]}
    assert kept in listed
    assert not {lost, in_list} & listed
    for task_id in (kept, lost, in_list):
        api.sandbox.wait_for(task_id)


def test_a_part_is_refused_once_as_if_its_address_had_expired(http: requests.Session, sandbox: Sandbox) -> None:
    key = "faults/parts"
    begun = http.post(sandbox.url + signed_path("POST", key, {"uploads": ""}), timeout=10)
    upload = begun.text.split("<UploadId>")[1].split("<")[0]
    path = signed_path("PUT", key, {"uploadId": upload, "partNumber": "1"})
    sandbox.fault("oss-part", "status", status=403, message="Request has expired.")
    refused = http.put(sandbox.url + path, data=b"x" * 3_000_000, timeout=10)
    assert refused.status_code == 403
    assert "<Code>AccessDenied</Code>" in refused.text
    assert "Request has expired." in refused.text
    assert http.put(sandbox.url + path, data=b"x" * 3_000_000, timeout=10).status_code == 200


def test_a_dropped_upload_stores_nothing(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("oss-put", "drop", after_bytes=500_000)
    with pytest.raises(requests.ConnectionError):
        put(http, sandbox, b"y" * 5_000_000, key="faults/dropped")
    assert get(http, sandbox, "faults/dropped").status_code == 404
    assert put(http, sandbox, key="faults/dropped").status_code == 200


def test_an_upload_whose_answer_is_lost_is_stored(http: requests.Session, sandbox: Sandbox) -> None:
    sandbox.fault("oss", "lose_answer")
    with pytest.raises(requests.ConnectionError):
        put(http, sandbox, b"z" * 10, key="faults/lost")
    assert get(http, sandbox, "faults/lost").content == b"z" * 10


def test_a_download_breaks_off_or_stalls_where_told(http: requests.Session, sandbox: Sandbox) -> None:
    put(http, sandbox, b"0123456789" * 100)
    sandbox.fault("oss-get", "drop", after_bytes=400)
    with pytest.raises(requests.exceptions.RequestException):
        get(http, sandbox)
    for _ in range(5):
        sandbox.fault("oss-get", "slow", after_bytes=400, seconds=0.3)
        started = time.monotonic()
        with http.get(sandbox.url + signed_path("GET", "faults/a"), stream=True, timeout=10) as answer:
            assert answer.raw.read(400) == b"0123456789" * 40
            early = time.monotonic() - started
            assert answer.raw.read() == b"0123456789" * 60
        assert time.monotonic() - started >= 0.3
        # On a busy machine the piece before may come late too, now and then.
        if early < 0.25:
            return
    pytest.fail("the piece before the stop never came before it")


def test_a_refused_storage_call_is_a_broken_connection(http: requests.Session, sandbox: Sandbox) -> None:
    for place, call in (("oss-put", put), ("oss-get", get), ("oss", get)):
        sandbox.fault(place, "refuse")
        with pytest.raises(requests.ConnectionError):
            call(http, sandbox)
    assert put(http, sandbox).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "nowhere", "kind": "refuse"},
        {"where": "submit", "kind": "explode"},
        {"where": "submit", "kind": "forget"},
        {"where": "task", "kind": "refuse"},
        {"where": "submit", "kind": "status", "status": 200},
        {"where": "submit", "kind": "status", "status": "500"},
        {"where": "submit", "kind": "slow", "seconds": -1},
        {"where": "submit", "kind": "refuse", "times": 0},
        {"where": "submit", "kind": "refuse", "color": "red"},
        {"where": "submit", "kind": "status", "message": "\ud800"},
        {"kind": "refuse"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: Sandbox, fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="error"):
        sandbox.control("POST", "faults", fault)
    assert sandbox.overview()["faults"] == []


def test_the_overview_counts_tasks_and_calls(own_sandbox: Sandbox) -> None:
    with dashscope(own_sandbox) as api:
        own_sandbox.wait_for(api.submitted(NOWHERE))
        api.get("x")
        api.list()
    overview = own_sandbox.overview()
    assert overview["calls"] == {"submits": 1, "gets": 1, "lists": 1, "cancels": 0}
    assert overview["tasks_by_account"] == {"sandbox": 1}
    assert overview["tasks_by_status"] == {"FAILED": 1}
    assert overview["settings"]["run_seconds"] == 0
