"""A walk through the task list: what it asks for, when it ends, what it never claims."""

from typing import Any

from templategen.clients.dashscope import TaskPage
from templategen.watch.walk import Walk


def page(*ids: str, number: int = 1, pages: int = 0, total: int = 0) -> TaskPage:
    rows: list[dict[str, Any]] = [{"task_id": task_id, "status": "RUNNING"} for task_id in ids]
    return TaskPage(rows=rows, page=number, pages=pages, total=total)


def ids(rows) -> list[str]:
    return [row["task_id"] for row in rows]


def test_only_what_is_looked_for_is_named_and_only_once():
    walk = Walk({"a", "b"}, page_size=10, most_pages=5)
    assert walk.next_page() == 1
    assert ids(walk.take(1, page("x", "a", "a", "b", pages=3))) == ["a", "b"]


def test_it_ends_with_the_last_that_is_looked_for():
    walk = Walk({"a"}, page_size=1, most_pages=50)
    walk.next_page()
    ids(walk.take(1, page("a", pages=40)))
    assert walk.over
    assert walk.next_page() is None
    assert walk.pages_read == 1


def test_all_pages_are_asked_for_once_their_number_is_known():
    walk = Walk({"a"}, page_size=1, most_pages=50)
    assert [walk.next_page(), walk.next_page()] == [1, None]
    ids(walk.take(1, page("x", pages=3)))
    assert [walk.next_page(), walk.next_page(), walk.next_page()] == [2, 3, None]
    assert not walk.over
    ids(walk.take(3, page("z", number=3, pages=3)))
    ids(walk.take(2, page("y", number=2, pages=3)))
    assert walk.over
    assert walk.unseen == {"a"}


def test_without_a_number_of_pages_a_full_one_has_another_behind_it():
    walk = Walk({"a"}, page_size=2, most_pages=50)
    walk.next_page()
    ids(walk.take(1, page("x", "y")))
    assert walk.next_page() == 2
    ids(walk.take(2, page("z", number=2)))
    assert walk.over


def test_a_service_that_gives_fewer_rows_than_asked_for_is_read_to_its_end():
    walk = Walk({"a"}, page_size=100, most_pages=50)
    walk.next_page()
    ids(walk.take(1, page("x", "y", total=3)))
    assert walk.next_page() == 2


def test_it_never_reads_more_pages_than_it_may():
    walk = Walk({"a"}, page_size=1, most_pages=2)
    walk.next_page()
    ids(walk.take(1, page("x", pages=9)))
    assert walk.next_page() == 2
    ids(walk.take(2, page("y", number=2, pages=9)))
    assert walk.over


def test_odd_rows_are_passed_over():
    walk = Walk({"a"}, page_size=10, most_pages=5)
    walk.next_page()
    rows: list[dict[str, Any]] = [{}, {"task_id": None}, {"task_id": ["a"]}, {"task_id": "a"}]
    assert ids(walk.take(1, TaskPage(rows=rows, page=1, pages=1, total=4))) == ["a"]
