"""Django's report of an error, as a page under DEBUG or as a mail to ADMINS, with nothing secret in it.

Django hides settings by their names, and under DEBUG nothing else; here what a form or a variable holds goes by its
name too, for a password looks like nothing. A key in a text, such as a signed address in an exception or in a local
variable, goes by what it looks like, and what is configured as secret by its very value.
"""

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from templategen.redact import redact


class Filter(SafeExceptionReporterFilter):
    """Hides at all times, whatever is called like something secret."""

    def is_active(self, request: HttpRequest | None) -> bool:
        """Under DEBUG too: pages of errors are sent around."""
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """The form, without passwords, keys and codes."""
        given = super().get_post_parameters(request)
        if not isinstance(given, QueryDict):
            return given
        shown = given.copy()
        for name in given:
            shown.setlist(name, [self.cleanse_setting(name, value) for value in given.getlist(name)])
        return shown

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        """Local variables, and dicts in them, likewise."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        return {name: self.cleanse_setting(name, value) for name, value in found}.items()


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
