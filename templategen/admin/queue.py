"""The queue's own pages: only failed jobs are shown, and those to look at.

django-q2's pages would let staff run any function by its name, and show tracebacks as they are: with signed URLs.
"""

import django_q.admin  # noqa: F401 -- registers its pages, which are taken away below
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, OrmQ, Schedule, Success

from accounts.admin.base import LookOnly
from templategen.redact import redact

for _model in (Success, Failure, OrmQ, Schedule):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(Failure)
class FailedJobAdmin(LookOnly):
    """Jobs that ended by an unexpected exception, newest first. None is run again from here: the row is the truth."""

    list_display = ["func", "started", "stopped", "problem"]
    ordering = ["-stopped"]
    fields = ("func", "started", "stopped", "traceback")
    readonly_fields = ("func", "started", "stopped", "traceback")

    @admin.display(description=_("Problem"))
    def problem(self, job: Failure) -> str:
        """Its first line."""
        return redact(str(job.result or "")).partition("\n")[0][:200]

    @admin.display(description=_("Traceback"))
    def traceback(self, job: Failure) -> str:
        """All of it, without keys and signed URLs."""
        return redact(str(job.result or ""))
