"""CSV for spreadsheet programs: streamed, and with no cell that such a program would take for a formula."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from django.http import StreamingHttpResponse

# What begins a formula in Excel, LibreOffice or Google Sheets (OWASP, "CSV injection"); a tab or line's end in front
# makes a cell of its own.
_BEGINS_A_FORMULA = frozenset("=+-@")
_ENDS_A_CELL = frozenset("\t\r\n")
# Else Excel takes UTF-8 for something else.
_BYTE_ORDER_MARK = "\ufeff"

Cell = str | int | Decimal | None


def safe_cell(value: Cell) -> Cell:
    """Text that would be a formula gets an apostrophe in front, which makes it text; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = value.replace("\x00", "")
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """By the first character that can be seen: wide, small and raised forms count as the plain one (NFKC)."""
    for character in text:
        if character in _ENDS_A_CELL:
            return True
        if character.isprintable() and not character.isspace():
            return unicodedata.normalize("NFKC", character)[0] in _BEGINS_A_FORMULA
    return False


class _Line:
    """What csv writes into: it hands each line back."""

    def write(self, line: str) -> str:
        return line


def lines_of(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The file, line by line."""
    writer = csv.writer(_Line(), lineterminator="\r\n")
    yield _BYTE_ORDER_MARK + str(writer.writerow(head))
    for row in rows:
        yield str(writer.writerow([safe_cell(cell) for cell in row]))


def csv_answer(file_name: str, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """The answer; ``file_name`` is ours, never a user's."""
    return StreamingHttpResponse(
        lines_of(head, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"', "Cache-Control": "private, no-store"},
    )
