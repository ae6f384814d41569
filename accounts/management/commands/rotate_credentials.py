"""``manage.py rotate_credentials``: API keys encrypted anew under the newest of CREDENTIAL_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.credentials import UnreadableError, rotate


class Command(BaseCommand):
    """Run after a new key was put in front of CREDENTIAL_KEYS; then the old one may go."""

    help = _("Encrypts every stored API key anew under the first of CREDENTIAL_KEYS.")

    def handle(self, **_options: Any) -> None:
        """All or nothing."""
        try:
            count = rotate()
        except UnreadableError as problem:
            raise CommandError(
                _("Credential %(credential)s cannot be read with any of CREDENTIAL_KEYS; nothing was changed. Put the "
                  "key it was encrypted with back into the list, or retire that credential.")
                % {"credential": problem.args[0]}
            ) from None  # fmt: skip
        self.stdout.write(
            ngettext("%(count)d API key encrypted anew.", "%(count)d API keys encrypted anew.", count)
            % {"count": count}
        )
