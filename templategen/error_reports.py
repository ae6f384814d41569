"""Django's report of an error, as a page under DEBUG or as a mail to ADMINS, with nothing secret in it.

Django hides settings and variables by their names. A key in a text, such as a signed address in an exception or in a
local variable, goes by what it looks like, and what is configured as secret by its very value.
"""

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from templategen.redact import redact


class Reporter(ExceptionReporter):
    """The same report; see ``templategen/redact.py``."""

    def get_traceback_html(self) -> SafeString:
        """The page."""
        return _cleaned(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        """The mail, and the page for scripts."""
        return _cleaned(super().get_traceback_text())


def _cleaned(report: str) -> SafeString:
    return mark_safe(redact(report, secrets=settings.SECRETS))  # noqa: S308 -- escaped by Django; nothing is put in
