"""Reading the whole task list: what counts as whole, and pages of any size. The HTTP is faked."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import responses
from responses import matchers

from templategen.clients.dashscope import DashScope
from templategen.task_list import Question, gather

BASE = "https://dashscope.example/api/v1"
MADE = datetime(2026, 11, 1, 12, tzinfo=UTC)


def client():
    return DashScope(base_url=BASE, api_key="sk-test", model="m")


def row(number, **values):
    made = int((MADE + timedelta(seconds=number)).timestamp() * 1000)
    return {"task_id": f"t{number}", "status": "RUNNING", "model_name": "m", "gmt_create": made, **values}


def serve(rows, *, largest=100, clamp=False, **counts):
    """A list of these rows that gives pages of ``largest`` at most."""

    def answer(request):
        number, size = int(request.params["page_no"]), int(request.params["page_size"])
        if size > largest and not clamp:
            return 400, {}, '{"code": "InvalidParameter", "message": "page_size"}'
        size = min(size, largest)
        some = rows[(number - 1) * size : number * size]
        told = {"total": len(rows), "total_page": -(-len(rows) // size), **counts}
        content = {"data": some, **{name: value for name, value in told.items() if value is not None}}
        return 200, {"Date": format_datetime(MADE, usegmt=True)}, json.dumps(content)

    responses.add_callback(responses.GET, f"{BASE}/tasks/", callback=answer)


@responses.activate
@pytest.mark.parametrize(("largest", "clamp"), [(100, False), (50, False), (10, False), (30, True), (7, True)])
@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
def test_every_page_is_read_whatever_its_size(count, largest, clamp):
    serve([row(number) for number in range(count)], largest=largest, clamp=clamp)
    gathered = gather(client(), Question())
    assert gathered.problem is None
    assert (len(gathered.tasks), gathered.whole) == (count, True)


@responses.activate
@pytest.mark.parametrize("counts", [{"total": None}, {"total": None, "total_page": None}])
def test_without_a_total_all_is_read_and_not_believed_to_be_all(counts):
    serve([row(number) for number in range(150)], **counts)
    gathered = gather(client(), Question())
    assert (len(gathered.tasks), gathered.whole) == (150, False)


@responses.activate
def test_without_a_number_of_pages_the_total_tells_the_end():
    serve([row(number) for number in range(150)], total_page=None)
    gathered = gather(client(), Question())
    assert (len(gathered.tasks), gathered.whole, len(responses.calls)) == (150, True, 2)


@responses.activate
def test_a_list_that_grows_while_it_is_read_is_not_whole():
    rows = [row(number) for number in range(150)]
    for some, total in ((rows[:100], 150), (rows[100:], 151)):
        responses.get(f"{BASE}/tasks/", json={"data": some, "total": total})
    gathered = gather(client(), Question())
    assert (len(gathered.tasks), gathered.whole) == (150, False)


@responses.activate
def test_what_a_row_says():
    serve([row(3, request_id="r-3")])
    [task] = gather(client(), Question()).tasks
    assert (task.task_id, task.model, task.request_id) == ("t3", "m", "r-3")
    assert task.made_at == MADE + timedelta(seconds=3)
    assert task.to_dict()["made_at"] == "2026-11-01T12:00:03+00:00"


@responses.activate
@pytest.mark.parametrize("made", ["yesterday", None, True, 10**30, float("1e300")])
def test_a_time_that_cannot_be_read_is_none(made):
    serve([row(1, gmt_create=made)])
    [task] = gather(client(), Question()).tasks
    assert task.made_at is None


@responses.activate
@pytest.mark.parametrize(
    "answer",
    [
        {"data": [], "total": 7},
        {"data": [row(1)], "total": 2},
        {"data": [row(1), row(1)], "total": 2},
        {"data": [{"gmt_create": 1}], "total": 1},
        {"data": ["t"], "total": 1},
        {"data": []},
        {"tasks": []},
        {},
    ],
)
def test_a_list_whose_counts_do_not_agree_or_that_is_none_is_not_whole(answer):
    responses.get(f"{BASE}/tasks/", json=answer)
    gathered = gather(client(), Question())
    assert not gathered.whole


@responses.activate
def test_the_clock_of_the_service_is_that_of_its_answer():
    serve([])
    gathered = gather(client(), Question())
    assert gathered.clock == MADE
    assert gathered.clock_ahead == MADE - gathered.began


@responses.activate
@pytest.mark.parametrize("date", ["", "yesterday"])
def test_an_answer_without_a_date_tells_no_clock(date):
    responses.get(f"{BASE}/tasks/", json={"data": [], "total": 0}, headers={"Date": date})
    assert gather(client(), Question()).clock is None


@responses.activate
def test_the_model_is_asked_for_unless_any_counts():
    only = responses.get(
        f"{BASE}/tasks/",
        json={"data": [], "total": 0},
        match=[matchers.query_param_matcher({"model_name": "m"}, strict_match=False)],
    )
    gather(client(), Question())
    assert only.call_count == 1
    gather(client(), Question(any_model=True))
    assert only.call_count == 1


@responses.activate
def test_trouble_is_told_and_not_raised():
    responses.get(f"{BASE}/tasks/", status=503)
    assert gather(client(), Question()).problem is not None


@responses.activate
def test_each_call_waits_for_its_turn():
    serve([row(number) for number in range(25)], largest=10)
    responses.get(f"{BASE}/tasks/t1", json={"output": {"task_id": "t1", "task_status": "RUNNING"}})
    turns = []
    gathered = gather(client(), Question(page_size=10, candidate="t1"), before_call=lambda: turns.append(1))
    assert gathered.candidate.status == "RUNNING"
    assert len(turns) == len(responses.calls) == 4


@responses.activate
def test_what_no_database_would_take_is_mended_before_anybody_is_asked_about_it():
    serve([row(1, task_id="t\x00\ud83d", status="RUN\x00", model_name="m\x00", request_id="r\ud83d")])
    [task] = gather(client(), Question()).tasks
    assert (task.task_id, task.status, task.model, task.request_id) == ("t?", "RUN", "m", "r?")
