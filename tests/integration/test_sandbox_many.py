"""The sandbox with many tasks at once: tasks made by control, run times that differ, ends that are told."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clips import clip_bytes
from tests.dashscope_calls import MODEL, DashScope, dashscope, within_a_second
from tests.sandbox import Sandbox


@pytest.fixture
def api(own_sandbox: Sandbox) -> Iterator[DashScope]:
    """The calls at a sandbox whose list holds nothing of other tests."""
    with dashscope(own_sandbox) as calls:
        yield calls


def wait_for_counts(sandbox: Sandbox, seconds: float = 60.0, **counts: int) -> None:
    """Until there are exactly so many tasks with these statuses."""
    deadline = time.monotonic() + seconds
    while (found := sandbox.overview()["tasks_by_status"]) != counts:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_ten_thousand_open_tasks_beside_fifty_thousand_ended_ones_are_listed_cheaply(api: DashScope) -> None:
    sandbox = api.sandbox
    sandbox.settings(running_tasks=100_000)
    ids = sandbox.make_tasks(100, run_seconds=3600)
    wait_for_counts(sandbox, RUNNING=100)

    def hundred_lists(pages: int) -> tuple[float, list[str]]:
        """What they cost, and whom they showed: so many pages, each as often as makes a hundred."""
        before, seen = cpu_seconds(sandbox.pid), []
        for page in [number for number in range(1, pages + 1) for _ in range(100 // pages)]:
            answer = api.list({"status": "RUNNING", "model_name": MODEL, "page_size": 100, "page_no": page}).json()
            assert (answer["total"], answer["total_page"]) == (100 * pages, pages)
            seen += [row["task_id"] for row in answer["data"]]
        return cpu_seconds(sandbox.pid) - before, seen

    alone, _seen = hundred_lists(1)
    sandbox.make_tasks(50_000, status="SUCCEEDED", submitted_ago=7200, run_seconds=60)
    ids += sandbox.make_tasks(9_900, run_seconds=3600)
    wait_for_counts(sandbox, RUNNING=10_000, SUCCEEDED=50_000)
    among_many, seen = hundred_lists(100)
    assert seen == ids[::-1]
    assert api.list({"page_size": 100, "page_no": 600}).json()["total"] == 60_000
    # Measured: as much, about 0.6 ms each. A list that counts or searches costs ten times that.
    assert among_many < 3 * alone + 0.15


def test_each_task_has_its_own_run_time_within_the_spread_and_none_is_late(api: DashScope) -> None:
    sandbox = api.sandbox
    sandbox.settings(running_tasks=1000, run_seconds=0.5, run_spread=0.4, skip_download=True)
    for _ in range(40):
        api.submitted()
    sandbox.make_tasks(400, run_seconds=0.5, run_spread=0.4)
    wait_for_counts(sandbox, SUCCEEDED=440)
    ended = sandbox.tasks()
    ran = [task["ended"] - task["scheduled"] for task in ended]
    assert min(ran) >= 0.1
    assert statistics.pstdev(ran) > 0.1
    late = [task["ended"] - task["scheduled"] - task["run_seconds"] for task in ended if task["run_seconds"]]
    assert min(late) >= 0
    assert statistics.median(late) < 2


def test_the_same_seed_gives_the_same_run_times(tmp_path_factory: pytest.TempPathFactory) -> None:
    seen = []
    for _ in range(2):
        sandbox = Sandbox(tmp_path_factory.mktemp("seeded"), "--seed=fixed")
        sandbox.make_tasks(5, run_seconds=100, run_spread=50)
        seen.append([(task["task_id"], task["run_seconds"]) for task in sandbox.tasks()])
        sandbox.stop()
    assert seen[0] == seen[1]
    assert len({run for _, run in seen[0]}) == 5


def test_ends_are_told_once_each_in_their_order(api: DashScope) -> None:
    sandbox = api.sandbox
    first = sandbox.make_tasks(3, status="RUNNING", run_seconds=0)
    for task_id in first:
        sandbox.wait_for(task_id)
    ends, after = sandbox.ends()
    assert {task_id for task_id, _ in ends} == set(first)
    assert sandbox.ends(after) == ([], after)
    (last,) = sandbox.make_tasks(1, status="RUNNING", run_seconds=0)
    ended = sandbox.wait_for(last)["ended"]
    assert sandbox.ends(after) == ([(last, ended)], after + 1)
    sandbox.restart(kill=True)
    assert len(sandbox.ends()[0]) == 4


def test_tasks_made_by_control_are_like_others(api: DashScope) -> None:
    sandbox = api.sandbox
    sandbox.settings(running_tasks=0)
    (waiting,) = sandbox.make_tasks(1, video_url="http://127.0.0.1:9/x", submitted_ago=60)
    (done,) = sandbox.make_tasks(1, status="SUCCEEDED", submitted_ago=60, run_seconds=30)
    assert api.output(waiting)["task_status"] == "PENDING"
    answer = api.get(done).json()
    assert answer["output"]["template_id"].startswith("AACT.")
    assert answer["usage"] == {"video_duration": 10.0, "video_ratio": "standard"}
    rows = {row["task_id"]: row for row in api.list().json()["data"]}
    assert rows[done]["end_time"] - rows[done]["start_time"] == pytest.approx(30_000, abs=2)
    assert rows[waiting]["api_key_id"] == rows[done]["api_key_id"]
    assert api.cancel(waiting).status_code == 200
    sandbox.settings(running_tasks=1)
    (running,) = sandbox.make_tasks(1, status="RUNNING", run_seconds=60)
    real = api.submitted(api.stored(clip_bytes()))
    assert api.output(running)["task_status"] == "RUNNING"
    assert api.output(real)["task_status"] == "PENDING"


@pytest.mark.parametrize(
    "order",
    [
        {"count": 0},
        {"count": 100_001},
        {"count": "5"},
        {"count": True},
        {"status": "FAILED"},
        {"account": "nobody"},
        {"run_seconds": -1},
        {"run_spread": float("nan")},
        {"submitted_ago": "x"},
        {"video_url": "a\nb"},
        {"color": "red"},
    ],
)
def test_an_order_that_makes_no_sense_makes_nothing(sandbox: Sandbox, order: dict[str, object]) -> None:
    before = len(sandbox.tasks())
    with pytest.raises(ValueError, match="error"):
        sandbox.control("POST", "tasks", order)
    for path in ("ends?after=x", "ends?after=-1", "tasks?task_id=%ff"):
        with pytest.raises(ValueError, match="error"):
            sandbox.control("GET", path)
    assert len(sandbox.tasks()) == before


def test_a_clip_need_not_be_there_when_downloads_are_skipped(api: DashScope) -> None:
    api.sandbox.settings(skip_download=True)
    assert api.sandbox.wait_for(api.submitted())["status"] == "SUCCEEDED"


def test_a_slow_download_holds_up_no_other_task(api: DashScope) -> None:
    sandbox = api.sandbox
    sandbox.settings(running_tasks=10, run_seconds=0)
    url = api.stored(clip_bytes())
    sandbox.fault("oss-get", "slow", seconds=30, match="slow-one")
    slow = api.submitted(api.stored(clip_bytes(), key="tasks/slow-one.mp4"))
    others = [api.submitted(url) for _ in range(3)]
    for task_id in others:
        assert sandbox.wait_for(task_id, seconds=25)["status"] == "SUCCEEDED"
    assert api.output(slow)["task_status"] == "RUNNING"


def test_every_setting_can_be_given_at_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    sandbox = Sandbox(tmp_path_factory.mktemp("set"), "--set=list_page_max=7", '--set=api_error="Arrearage"')
    assert sandbox.overview()["settings"]["list_page_max"] == 7
    assert sandbox.overview()["settings"]["api_error"] == "Arrearage"
    sandbox.stop()


def test_the_overview_counts_throttled_calls(api: DashScope) -> None:
    api.sandbox.settings(queries_per_second=2, retry_after_seconds=3)
    answers = within_a_second(lambda: api.get("x"), 4)
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["Retry-After"] == "3"
    assert api.sandbox.overview()["throttled"] >= 2
