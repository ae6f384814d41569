"""Values of the environment, read with care: one that cannot be meant ends every process with one line that names it.

django-environ reads a word that it does not know as "off", and drops the letters of a number. Used while settings are
made: no Django model, no translation. For values that are no secrets: they are shown.
"""

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

_ON = frozenset({"1", "true", "on", "yes", "y"})
_OFF = frozenset({"0", "false", "off", "no", "n", ""})
# More than any price: so much video times it is still a number that can be shown.
_MOST_PRICE = 2**31 - 1
_ALLOWED = {int: "a whole number", float: "a number", bool: "1 or 0 (true/false, on/off, yes/no)"}


class Env(environ.FileAwareEnv):  # type: ignore[misc]  # the library is not typed
    """django-environ's reader, that refuses what it would guess at. Every method raises ImproperlyConfigured."""

    def get_value(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **more: Any) -> Any:
        """The value, whole numbers and numbers and yes-or-no as strict as they look."""
        try:
            return super().get_value(var, cast=cast, default=default, **more)
        except UnicodeDecodeError:
            raise  # NAME_FILE is no text: settings.py says so, and shows nothing of a secret
        except ValueError:
            raise _refused(var, str(self.ENVIRON.get(var, "")), _ALLOWED.get(cast, "a value of another kind")) from None

    @classmethod
    def parse_value(cls, value: str, cast: Any) -> Any:
        """The text as what it stands for; ValueError where it stands for nothing."""
        if cast is bool:
            word = value.strip().lower()
            if word not in _ON | _OFF:
                raise ValueError(word)
            return word in _ON
        if cast is float:
            number = float(value)
            if not math.isfinite(number):
                raise ValueError(value)
            return number
        return super().parse_value(value, cast)

    def choice(self, name: str, choices: Sequence[str], *, default: str) -> str:
        """One of some words, however it is capitalised; as ``choices`` writes it."""
        text: str = self.str(name, default=default)
        for word in choices:
            if text.strip().lower() == word.lower():
                return word
        raise _refused(name, text, "one of " + ", ".join(choices))

    def limit(self, name: str) -> int | None:
        """A whole number from 0, or None where nothing is given."""
        text: str = self.str(name, default="").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit()):
            raise _refused(name, text, "a whole number from 0, without a unit; nothing for no limit")
        return int(text)

    def price(self, name: str, *, default: str) -> str:
        """A decimal number from 0, or nothing."""
        text: str = self.str(name, default=default).strip()
        try:
            fits = not text or (Decimal(text).is_finite() and 0 <= Decimal(text) <= _MOST_PRICE)
        except InvalidOperation:
            fits = False
        if not fits:
            raise _refused(name, text, "a number such as 0.08; nothing for no estimates")
        return text

    def date(self, name: str, *, default: str) -> str:
        """A day."""
        text: str = self.str(name, default=default).strip()
        try:
            date.fromisoformat(text)
        except ValueError:
            raise _refused(name, text, "a date such as 2026-06-22") from None
        return text

    def time_zone(self, name: str, *, default: str) -> str:
        """The name of a zone whose rules can be loaded: unknown, it would fail on each page that tells a time."""
        text: str = self.str(name, default=default).strip()
        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise _refused(name, text, "a time zone's name such as Asia/Shanghai or UTC") from None
        return text

    def address(self, name: str, *, default: str) -> str:
        """An http(s) address with a host, without a slash at its end."""
        text: str = self.str(name, default=default).strip().rstrip("/")
        try:
            parts = urlsplit(text)
            fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise _refused(name, text, "an address that begins with https:// or http://")
        return text


def _refused(name: str, text: str, allowed: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {text!r}. What is allowed: {allowed}.")
