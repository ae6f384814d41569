"""A page of the task list against a plain reading of what it should hold, and what a restart leaves of it."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from templategen.sandbox.dashscope.tasks import Search, Submission, Task, Tasks
from templategen.sandbox.database import Database

SUBMISSIONS = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]),
        st.sampled_from(["key-a", "key-b"]),
        st.sampled_from(["model-a", "model-b"]),
        st.integers(0, 9),
        st.sampled_from(["PENDING", "RUNNING", "SUCCEEDED", "COMING"]),
    ),
    max_size=12,
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["schedule", "cancel", "succeed", "forget", "appear"]), st.integers(0, 11))
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "model_name": st.sampled_from(["model-a", "model-c"]),
        "status": st.sampled_from(["PENDING", "RUNNING", "SUCCEEDED", "CANCELED"]),
        "api_key_id": st.just("key-a"),
    },
)


def filled(tasks: Tasks, submissions: list[tuple[Any, ...]], changes: list[tuple[str, int]]) -> None:
    """Some tasks, some of them changed."""
    made = tasks.add_many(
        [
            Submission(account, key, f"r{n}", model, "http://x", float(moment), status,
                       ended=float(moment + n % 3) if status == "SUCCEEDED" else None)
            for n, (account, key, model, moment, status) in enumerate(submissions)
        ]
    )  # fmt: skip
    for name, which in changes:
        if which < len(made):
            getattr(tasks, name)(made[which])


def expected(tasks: list[Task], search: Search) -> list[Task]:
    """What should be listed, newest first."""

    def fits(task: Task) -> bool:
        names = {"model_name": task.model, "status": task.status, "api_key_id": task.api_key_id}
        return (
            task.account == search.account
            and search.since <= task.submitted <= search.until
            and not task.forgotten
            and task.status != "COMING"
            and (task.ended is None or task.ended >= search.kept_since)
            and all(names[name] == value for name, value in search.filters.items())
        )

    return sorted(filter(fits, tasks), key=lambda task: (task.submitted, task.seq), reverse=True)


@settings(max_examples=150, deadline=None)
@given(SUBMISSIONS, CHANGES, FILTERS, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 4))
def test_every_page_holds_what_it_should_and_the_total_is_right(
    submissions: list[tuple[Any, ...]],
    changes: list[tuple[str, int]],
    filters: dict[str, str],
    since: int,
    until: int,
    kept_since: int,
    limit: int,
) -> None:
    tasks = Tasks(Database(Path(":memory:")), "seed")
    filled(tasks, submissions, changes)
    search = Search("one", since, until, kept_since, filters)
    wanted = expected(tasks.all(), search)
    found: list[Task] = []
    for page in range(len(wanted) // limit + 2):
        total, rows = tasks.page(search, limit, page * limit)
        assert total == len(wanted)
        found += rows
    assert found == wanted


@settings(max_examples=25, deadline=None)
@given(SUBMISSIONS, CHANGES)
def test_a_restart_finds_everything_as_it_was(
    submissions: list[tuple[Any, ...]], changes: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sandbox.sqlite3"
        before = Tasks(Database(path), "seed")
        filled(before, submissions, changes)
        after = Tasks(Database(path), "seed")
        assert after.all() == before.all()
        assert after.counts() == before.counts()
        assert sorted(after.ends(0)) == sorted(before.ends(0))
        new = [Submission("one", "key-a", "r", "model-a", "http://x", 1.0)]
        assert after.add_many(new)[0].seq == len(submissions) + 1


def test_a_data_folder_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite3"
    database = Database(path)
    filled(Tasks(database, "seed"), [("one", "key-a", "model-a", 3, "PENDING")], [])
    database.change("ALTER TABLE tasks DROP COLUMN run_seconds")
    database.change("DROP TABLE kept")
    again = Tasks(Database(path), "seed")
    assert [task.run_seconds for task in again.all()] == [None]
