"""Tasks in the order of their submission, so that a page of the list costs no search and its total no count.

One sorted list for each account, model and status (and for "any" of the two last). A task stands in four of them;
Python moves the pointers of a list of ten thousand in microseconds, less than a query of a database costs.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence

Place = tuple[float, int]
"""Submission (epoch seconds) and number of a task."""

ANY = ""


class Index:
    """Places of tasks by account, model and status."""

    def __init__(self) -> None:
        self._lists: defaultdict[tuple[str, str, str], list[Place]] = defaultdict(list)

    def add(self, account: str, model: str, status: str, place: Place) -> None:
        """A task is there now."""
        for key in _keys(account, model, status):
            insort(self._lists[key], place)

    def remove(self, account: str, model: str, status: str, place: Place) -> None:
        """It is not any more; it must have been there."""
        for key in _keys(account, model, status):
            places = self._lists[key]
            del places[bisect_left(places, place)]

    def window(self, account: str, model: str, status: str, since: float, until: float) -> "Window":
        """The tasks submitted between two moments, both included."""
        places = self._lists.get((account, model, status), [])
        return Window(places, bisect_left(places, (since, -1)), bisect_right(places, (until, 1 << 62)))

    def count(self, account: str, status: str = ANY) -> int:
        """How many tasks of an account have a status."""
        return len(self._lists.get((account, ANY, status), ()))

    def oldest(self, account: str, status: str, limit: int) -> list[Place]:
        """The first ones to have been submitted."""
        return self._lists.get((account, ANY, status), [])[: max(limit, 0)]

    def statuses(self) -> dict[tuple[str, str], int]:
        """How many tasks there are by account and status."""
        return {
            (account, status): len(places)
            for (account, model, status), places in self._lists.items()
            if model == ANY and status != ANY and places
        }


class Window:
    """A stretch of one list, oldest first; valid only as long as the index is not changed."""

    def __init__(self, places: Sequence[Place], low: int, high: int) -> None:
        self._places = places
        self._low = low
        self._high = max(low, high)

    def __len__(self) -> int:
        """How many there are."""
        return self._high - self._low

    def split(self, moment: float) -> tuple[list[Place], "Window"]:
        """Those submitted before a moment, and the rest."""
        middle = bisect_left(self._places, (moment, -1), self._low, self._high)
        return list(self._places[self._low : middle]), Window(self._places, middle, self._high)

    def all(self) -> list[Place]:
        """All of them, oldest first."""
        return list(self._places[self._low : self._high])

    def newest(self, skip: int, limit: int) -> list[Place]:
        """A page, newest first."""
        end = max(self._low, self._high - skip)
        return list(self._places[max(self._low, end - limit) : end][::-1])


def window_of(places: list[Place]) -> Window:
    """The same for a list that was picked by hand, oldest first."""
    return Window(places, 0, len(places))


def _keys(account: str, model: str, status: str) -> tuple[tuple[str, str, str], ...]:
    return (account, ANY, ANY), (account, ANY, status), (account, model, ANY), (account, model, status)
