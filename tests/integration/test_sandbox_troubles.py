"""What chaos needs of the sandbox: lateness, chance, a lagging list, a wrong clock, troubles that outlive a restart."""

import http.client
import select
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.dashscope_calls import DashScope, dashscope
from tests.oss_signing import signed_headers, signed_path
from tests.running import wait_until
from tests.sandbox import BUCKET, Sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[DashScope]:
    """The calls with the default key."""
    with dashscope(sandbox) as calls:
        yield calls


@pytest.fixture
def own_api(own_sandbox: Sandbox) -> Iterator[DashScope]:
    """The same at a sandbox that this test may restart."""
    with dashscope(own_sandbox) as calls:
        yield calls


def submit_and_leave(sandbox: Sandbox, url: str) -> None:
    """A submit whose client does not wait for the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=0.2)
    headers = {"Authorization": "Bearer sk-sandbox", "X-DashScope-Async": "enable", "Content-Type": "application/json"}
    body = f'{{"model": "animate-anyone-template-gen2", "input": {{"video_url": "{url}"}}}}'
    connection.request("POST", "/api/v1/services/aigc/image2video/aa-template-generation", body, headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def urls(sandbox: Sandbox) -> list[str]:
    """The clips of all tasks."""
    return [task["video_url"] for task in sandbox.tasks()]


def wait_for_url(sandbox: Sandbox, url: str, seconds: float = 60.0) -> None:
    """Until there is a task for a clip."""
    deadline = time.monotonic() + seconds
    while url not in urls(sandbox):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("kind", "made_at_once"), [("slow", False), ("answer_late", True)])
def test_a_task_is_made_though_its_client_has_gone(api: DashScope, kind: str, made_at_once: bool) -> None:
    url = f"http://127.0.0.1:9/{kind}.mp4"
    seconds = 60 if made_at_once else 0.6
    api.sandbox.fault("submit", kind, seconds=seconds)
    begun = time.monotonic()
    submit_and_leave(api.sandbox, url)
    if not made_at_once:
        assert url not in urls(api.sandbox) or time.monotonic() - begun >= seconds
    wait_for_url(api.sandbox, url)
    assert time.monotonic() - begun < seconds or not made_at_once


def test_a_task_is_made_later_than_its_call_was_cut(own_api: DashScope) -> None:
    sandbox, url = own_api.sandbox, "http://127.0.0.1:9/later.mp4"
    sandbox.settings(running_tasks=0)
    sandbox.fault("submit", "make_later", seconds=2)
    called = time.time()
    with pytest.raises(requests.ConnectionError):
        own_api.submit(url)
    (coming,) = sandbox.tasks()
    assert coming["status"] == "COMING"
    assert own_api.list().json()["total"] == 0
    assert own_api.output(coming["task_id"])["task_status"] == "UNKNOWN"
    assert own_api.cancel(coming["task_id"]).status_code == 400
    sandbox.restart(kill=True)
    task = sandbox.wait_for(coming["task_id"], "PENDING")
    assert task["submitted"] - called >= 2
    assert own_api.list().json()["data"][0]["task_id"] == coming["task_id"]


def test_the_list_lags_behind_while_a_single_look_does_not(own_api: DashScope) -> None:
    own_api.sandbox.settings(list_lag_seconds=3600, running_tasks=0)
    task_id = own_api.submitted()
    assert own_api.list().json()["total"] == 0
    assert own_api.list({"task_id": task_id}).json()["data"] == []
    assert own_api.output(task_id)["task_status"] == "PENDING"
    own_api.sandbox.settings(list_lag_seconds=0.3)
    wait_until(lambda: [row["task_id"] for row in own_api.list().json()["data"]] == [task_id])
    [task] = own_api.sandbox.tasks()
    assert time.time() - task["submitted"] >= 0.3


def test_a_wrong_clock_shows_in_every_time_and_is_what_the_list_is_asked_in(own_api: DashScope) -> None:
    own_api.sandbox.settings(clock_offset_seconds=-7200, utc_offset_hours=0, running_tasks=0)
    task_id = own_api.submitted()
    now = time.time()
    answer = own_api.get(task_id)
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == pytest.approx(now - 7200, abs=30)
    shown = answer.json()["output"]["submit_time"]
    assert shown[:16] in {time.strftime("%Y-%m-%d %H:%M", time.gmtime(now - 7200 + late)) for late in (-30, 0)}
    row = own_api.list().json()["data"][0]
    assert row["gmt_create"] / 1000 == pytest.approx(now - 7200, abs=30)

    def there(offset: float) -> str:
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(now - 7200 + offset))

    assert own_api.list({"start_time": there(-60), "end_time": there(60)}).json()["total"] == 1
    assert own_api.list({"start_time": there(60), "end_time": there(7260)}).json()["total"] == 0


def test_storage_judges_signatures_by_the_wrong_clock(sandbox: Sandbox) -> None:
    sandbox.settings(clock_offset_seconds=3600)
    address = f"{sandbox.url}/{BUCKET}/clock/a"
    refused = requests.put(address, data=b"x", headers=signed_headers("PUT", "clock/a"), timeout=10)
    assert (refused.status_code, "RequestTimeTooSkewed" in refused.text) == (403, True)
    expired = requests.get(sandbox.url + signed_path("GET", "clock/a"), timeout=10)
    assert (expired.status_code, "Request has expired" in expired.text) == (403, True)


def test_a_page_that_is_too_large_is_refused_or_clamped(own_api: DashScope) -> None:
    own_api.sandbox.settings(running_tasks=0, list_page_max=2)
    for _ in range(3):
        own_api.submitted()
    refused = own_api.list({"page_size": 3})
    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter")
    own_api.sandbox.settings(list_page_clamp=True)
    clamped = own_api.list({"page_size": 100}).json()
    assert (clamped["page_size"], clamped["total"], clamped["total_page"], len(clamped["data"])) == (2, 3, 2, 2)


@pytest.mark.parametrize(
    ("code", "status"), [("Arrearage", 400), ("CommodityNotPurchased", 429), ("PostpaidBillOverdue", 429)]
)
def test_an_unpaid_bill_refuses_new_tasks_until_it_is_paid(api: DashScope, code: str, status: int) -> None:
    api.sandbox.settings(api_error=code)
    refused = api.submit()
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert api.get("x").status_code == 200
    api.sandbox.settings(api_error="")
    assert api.submit().status_code == 200


def test_a_bad_key_is_refused_everywhere_while_it_is_bad(api: DashScope) -> None:
    api.sandbox.settings(api_error="InvalidApiKey")
    for call in (api.submit, lambda: api.get("x"), api.list, lambda: api.cancel("x")):
        refused = call()
        assert (refused.status_code, refused.json()["code"]) == (401, "InvalidApiKey")
    api.sandbox.settings(api_error="")
    assert api.get("x").status_code == 200


def test_a_refusal_may_say_when_to_come_back(api: DashScope) -> None:
    api.sandbox.fault("get", "status", status=429, retry_after=7)
    assert api.get("x").headers["Retry-After"] == "7"
    api.sandbox.fault("oss-put", "status", status=503, retry_after=9)
    refused = requests.put(api.sandbox.url + signed_path("PUT", "late/a"), data=b"x", timeout=10)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "9")


def test_a_fault_may_be_meant_for_one_account(tmp_path_factory: pytest.TempPathFactory) -> None:
    sandbox = Sandbox(tmp_path_factory.mktemp("two"), "--api-key=sk-a=one", "--api-key=sk-b=two")
    try:
        with dashscope(sandbox, "sk-a") as first, dashscope(sandbox, "sk-b") as second:
            sandbox.fault("get", "status", status=500, match="account=two", times=None)
            assert [first.get("x").status_code, second.get("x").status_code] == [200, 500]
    finally:
        sandbox.stop()


def chance(sandbox: Sandbox) -> list[int]:
    """How 200 calls fare under a fault that happens to a fifth of them."""
    with dashscope(sandbox) as api:
        sandbox.fault("get", "status", status=500, probability=0.2, times=None)
        sandbox.fault("get", "status", status=429, probability=0.1, times=None)
        return [api.get("x").status_code for _ in range(200)]


def test_a_fault_may_happen_by_chance_and_the_seed_says_when(tmp_path_factory: pytest.TempPathFactory) -> None:
    seen = []
    for _ in range(2):
        sandbox = Sandbox(tmp_path_factory.mktemp("chance"), "--seed=fixed")
        seen.append(chance(sandbox))
        if len(seen) == 2:
            sandbox.clear_faults()
            sandbox.restart()
            assert chance(sandbox) != seen[0]
        sandbox.stop()
    assert seen[0] == seen[1]
    assert 20 <= seen[0].count(500) <= 60
    assert 5 <= seen[0].count(429) <= 35


def test_a_fault_may_be_meant_for_every_call(api: DashScope) -> None:
    api.sandbox.fault("api", "status", status=500, times=None)
    calls = (api.submit, lambda: api.get("x"), api.list, lambda: api.cancel("x"))
    assert [call().status_code for call in calls] == [500] * 4


def test_a_counted_fault_by_chance_counts_only_when_it_happens(api: DashScope) -> None:
    api.sandbox.fault("get", "status", status=500, probability=0.5, times=3)
    assert [api.get("x").status_code for _ in range(100)].count(500) == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "get", "kind": "refuse", "probability": 0},
        {"where": "get", "kind": "refuse", "probability": 1.1},
        {"where": "get", "kind": "refuse", "probability": "often"},
        {"where": "get", "kind": "refuse", "probability": float("nan")},
        {"where": "get", "kind": "status", "retry_after": -1},
        {"where": "get", "kind": "make_later"},
        {"where": "task", "kind": "answer_late"},
    ],
)
def test_a_trouble_that_makes_no_sense_is_refused(sandbox: Sandbox, fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="error"):
        sandbox.control("POST", "faults", fault)
    assert sandbox.overview()["faults"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"run_spread": -1},
        {"running_tasks": 100_001},
        {"api_error": "Nonsense"},
        {"api_error": 5},
        {"list_page_max": 0},
        {"utc_offset_hours": 15},
        {"clock_offset_seconds": float("inf")},
        {"keep": 1},
    ],
)
def test_an_impossible_trouble_setting_changes_nothing(sandbox: Sandbox, change: dict[str, object]) -> None:
    before = sandbox.overview()["settings"]
    with pytest.raises(ValueError, match="error"):
        sandbox.control("PATCH", "settings", change)
    assert sandbox.overview()["settings"] == before


def test_settings_and_faults_outlive_a_kill_when_asked_to(own_api: DashScope) -> None:
    sandbox = own_api.sandbox
    sandbox.fault("get", "status", status=500, times=3)
    sandbox.control("PATCH", "settings", {"keep": True, "run_seconds": 77})
    sandbox.fault("list", "status", status=503, times=None, probability=1)
    assert own_api.get("x").status_code == 500
    sandbox.restart(kill=True)
    assert sandbox.overview()["settings"]["run_seconds"] == 77
    assert [(fault["where"], fault["times"]) for fault in sandbox.overview()["faults"]] == [("get", 2), ("list", None)]
    assert own_api.list().status_code == 503
    sandbox.control("PATCH", "settings", {"keep": False})
    sandbox.restart(kill=True)
    assert sandbox.overview()["settings"]["run_seconds"] == 0
    assert sandbox.overview()["faults"] == []


def test_idle_connections_are_cut_when_told_and_when_they_have_been_idle_too_long(sandbox: Sandbox) -> None:
    def connected() -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=30)
        connection.request("GET", "/_sandbox/ends", headers={"Host": "127.0.0.1"})
        assert connection.getresponse().read()
        return connection

    def is_closed(connection: http.client.HTTPConnection, seconds: float) -> bool:
        return bool(select.select([connection.sock], [], [], seconds)[0])

    def is_dead(connection: http.client.HTTPConnection) -> bool:
        try:
            connection.request("GET", "/_sandbox/ends", headers={"Host": "127.0.0.1"})
            return not connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return True
        finally:
            connection.close()

    waiting = connected()
    # An answer can be read here a moment before the sandbox's thread waits for the next request.
    deadline = time.monotonic() + 60
    while not (sandbox.cut_idle_connections() and is_closed(waiting, 0.1)) and time.monotonic() < deadline:
        pass
    assert is_dead(waiting)
    sandbox.settings(idle_seconds=2)
    waiting, quick = connected(), connected()
    assert not is_dead(quick)
    assert is_closed(waiting, 60)
    assert is_dead(waiting)
