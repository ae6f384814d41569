"""Spans by the service's own clock: whatever its zone, and nothing from nonsense."""

from datetime import timedelta

import pytest

from templategen.clients.dashscope import Task
from templategen.pipeline import lifetimes


def task(**output: object) -> Task:
    return Task("id", "SUCCEEDED", answer={"output": output})


def test_a_tasks_times_become_spans():
    found = lifetimes.of_task(
        task(
            submit_time="2026-01-01 23:59:58.500",
            scheduled_time="2026-01-02 00:00:00.500",
            end_time="2026-01-02 00:04:00.500",
        )
    )
    assert found == lifetimes.Lifetime(timedelta(seconds=2), timedelta(seconds=242))


def test_a_rows_times_become_spans():
    found = lifetimes.of_row({"gmt_create": 1_700_000_000_000, "start_time": 1_700_000_001_500})
    assert found == lifetimes.Lifetime(timedelta(seconds=1.5), None)


@pytest.mark.parametrize("value", [None, 3, "", "soon", [], "2026-01-01 10:00:00"])
def test_nonsense_tells_nothing(value):
    # The last one: an end before the beginning.
    assert lifetimes.of_task(task(submit_time="2026-01-01 11:00:00", end_time=value)).ended is None


@pytest.mark.parametrize("value", [None, "soon", True, float("nan"), float("inf"), 10**400, -1, 10**18])
def test_nonsense_in_a_row_tells_nothing(value):
    assert lifetimes.of_row({"gmt_create": 0, "end_time": value}).ended is None


def test_an_answer_without_an_output_tells_nothing():
    assert lifetimes.of_task(Task("id", "RUNNING", answer={"output": "x"})) == lifetimes.NOTHING_KNOWN
