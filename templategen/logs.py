"""How log lines look: constant text first, then the record's own fields as ``name=value``."""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "server_time"}


class FieldsFormatter(logging.Formatter):
    """Append what a call gave as ``extra=`` to its line. Callers pass ids, never keys, signed URLs or contents."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line; the fields in the order they were given."""
        fields = [f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD]
        return " ".join([super().format(record), *fields])
