"""The accounts app: who, and how much. It imports nothing of templategen."""

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Users, accounts, memberships, and the place of quotas."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Listen for sign-ins, and name the doors' packages as the administration's readers know them."""
        from accounts import sign_ins  # noqa: F401, PLC0415 -- connects on import

        apps.get_app_config("axes").verbose_name = _("Wrong passwords")
        apps.get_app_config("otp_totp").verbose_name = _("Two-step sign-in")
        # Not translatable there; migrations go by what the class itself said.
        phone = apps.get_model("otp_totp", "TOTPDevice")._meta  # noqa: SLF001 -- Django's documented name for it
        phone.verbose_name = _("phone of two-step sign-in")
        phone.verbose_name_plural = _("phones of two-step sign-in")
