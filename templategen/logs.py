"""How log lines look: constant text, the record's own fields, and of which request or job it speaks.

As text (``name=value`` after the message) or as JSON, a line an object. Nothing leaves without ``redact``: messages,
fields, exceptions and their tracebacks. Callers pass ids; what other people's exceptions say is not in our hands.
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import PermissionDenied

from templategen.redact import redact, redact_within

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "server_time"}
# Names that a JSON line has anyway; a field of the same name steps aside.
_OURS = frozenset({"time", "level", "logger", "message", "exception", "stack"})
_PLAIN = re.compile(r"[^\s\"=\x00-\x1f\x7f]+")
_context: ContextVar[dict[str, object]] = ContextVar("log_context")


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Every line inside says these too: ``with about(template=public_id)``. Nests; inner names win."""
    token = _context.set({**_context.get({}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What the line is about, then what the call gave as ``extra=``; of a request its address and ID."""
    fields = dict(_context.get({}))
    request = getattr(record, "request", None)
    # Django speaks of a bad answer when the request is already over: the ID stands on the request then.
    for name, attribute in (("request_id", "request_id"), ("method", "method"), ("path", "path")):
        value = getattr(request, attribute, None)
        if isinstance(value, str):
            fields[name] = value
    fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return fields


class RefusalsFilter(logging.Filter):
    """A refusal was meant: where in our code it was said is no news."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every line passes; one of a refusal without its traceback."""
        if record.exc_info and isinstance(record.exc_info[1], PermissionDenied):
            record.exc_info = None
        return True


class _Formatter(logging.Formatter):
    """What both forms share: ``secrets`` are values that must stand in no line, wherever they come from."""

    def __init__(self, *, secrets: Sequence[str] = ()) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._secrets = tuple(secrets)

    def _redact(self, text: str) -> str:
        return redact(text, secrets=self._secrets)


class FieldsFormatter(_Formatter):
    """For people: level, name, message, ``name=value`` …; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's own name
        """The line itself; a value with spaces or line ends stands in quotes, so that none can feign a line."""
        message = super().formatMessage(record)
        return " ".join([message, *(f"{name}={self._value(value)}" for name, value in _fields(record).items())])

    def format(self, record: logging.LogRecord) -> str:
        """Line and traceback, with nothing secret in either."""
        return self._redact(super().format(record))

    def _value(self, value: object) -> str:
        text = str(redact_within(value, secrets=self._secrets))
        return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class JsonFormatter(_Formatter):
    """For collectors: ``{"time", "level", "logger", "message", …fields, "exception"?}``, UTC, one line."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line[f"{name}_" if name in _OURS else name] = redact_within({name: value}, secrets=self._secrets)[name]  # type: ignore[index]
        if record.exc_info:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        elif record.exc_text:
            line["exception"] = self._redact(record.exc_text)
        if record.stack_info:
            line["stack"] = self._redact(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)
