"""The accounts app: who, and how much. It imports nothing of templategen."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Users, accounts, memberships, and the place of quotas."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Listen for sign-ins."""
        from accounts import sign_ins  # noqa: F401, PLC0415 -- connects on import
