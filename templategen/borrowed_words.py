"""Words of other packages that the administration shows and that have no Chinese there: for the catalogue only.

Nothing imports this; ``.ci/words`` reads it. What stands in our catalogue goes before what stands in theirs.
"""

from django.utils.translation import gettext_noop as _

DJANGO_ADMIN = (_("Model name"), _("Add link"), _("Change or view list link"))

DJANGO_AXES = (
    _("access attempt"),
    _("access attempts"),
    _("access failure"),
    _("access failures"),
    _("access log"),
    _("access logs"),
    _("User Agent"),
    _("IP Address"),
    _("Username"),
    _("HTTP Accept"),
    _("Path"),
    _("Attempt Time"),
    _("Attempt Remaining"),
    _("Access lock out"),
    _("Locked Out"),
    _("GET Data"),
    _("POST Data"),
    _("Failed Logins"),
    _("Expires At"),
    _("Not set"),
    _("Logout Time"),
    _("Session key hash (sha256)"),
    _("Form Data"),
    _("Meta Data"),
    _("Clean up expired attempts"),
)

DJANGO_Q = (
    _("Function"),
    _("Dotted import path to the callable, e.g. myapp.tasks.job."),
    _("Started at"),
    _("When the worker started executing the task."),
    _("Stopped at"),
    _("When the worker finished (success or failure)."),
)
