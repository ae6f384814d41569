"""The product app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TemplategenConfig(AppConfig):
    """Clips, templates and everything done with them."""

    name = "templategen"
    verbose_name = _("Templates")

    def ready(self) -> None:
        """Register the system checks."""
        from templategen import checks  # noqa: F401, PLC0415 -- registers on import
