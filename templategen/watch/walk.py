"""One walk through the task list: which pages to ask for, which of the tasks that are looked for it showed.

The list promises no order, and its pages shift while they are read: what a walk has not shown may be there all the
same. It is a hint; only the query of a single task is believed for an end.
"""

from collections.abc import Collection, Iterator
from typing import Any

from templategen.clients.dashscope import TaskPage


class Walk:
    """Looks for the tasks ``wanted``; ends with the last of them, the last page, or after ``most_pages``."""

    def __init__(self, wanted: Collection[str], *, page_size: int, most_pages: int) -> None:
        self.page_size = page_size
        self.unseen = set(wanted)
        self.pages_read = 0
        self._most_pages = most_pages
        self._last = 1
        self._next = 1
        self._under_way: set[int] = set()

    @property
    def over(self) -> bool:
        """Nothing more is to be asked for, and nothing is awaited."""
        return not self.unseen or (self._next > self._last and not self._under_way)

    @property
    def complete(self) -> bool:
        """Over, and every page of the list was read or none was needed."""
        return self.over and (not self.unseen or self._last < self._most_pages)

    def next_page(self) -> int | None:
        """The number of the next page to ask for, if one can be named by now."""
        if not self.unseen or self._next > self._last:
            return None
        number, self._next = self._next, self._next + 1
        self._under_way.add(number)
        return number

    def take(self, number: int, page: TaskPage) -> Iterator[dict[str, Any]]:
        """The rows of a page that are looked for and were not seen before."""
        self._under_way.discard(number)
        self.pages_read += 1
        if page.pages > 0:
            self._last = min(page.pages, self._most_pages)
        elif len(page.rows) >= self.page_size or len(page.rows) * number < page.total:
            # The number of pages is not told: this one may have another behind it.
            self._last = min(max(self._last, number + 1), self._most_pages)
        for row in page.rows:
            task_id = row.get("task_id")
            if isinstance(task_id, str) and task_id in self.unseen:
                self.unseen.discard(task_id)
                yield row
