"""Print a link that signs a user in once."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from accounts.links import sign_in_path
from accounts.models import User


class Command(BaseCommand):
    """For who has no password yet, or has lost it where no mail is configured."""

    help = _("Prints a link that signs the user with this e-mail address in, once, within a day.")

    def add_arguments(self, parser: CommandParser) -> None:
        """The address."""
        parser.add_argument("email", metavar="E-MAIL", help=_("The user's e-mail address."))

    def handle(self, *args: Any, **options: Any) -> None:
        """The link alone on standard output."""
        user = User.objects.filter(email__iexact=options["email"], is_active=True).first()
        if user is None:
            known = ", ".join(User.objects.filter(is_active=True).order_by("pk").values_list("email", flat=True)[:5])
            raise CommandError(
                _("No active user has the address %(email)s. Known ones: %(known)s.")
                % {"email": options["email"], "known": known or _("none")}
            )
        self.stdout.write(f"{settings.SITE_URL}{sign_in_path(user)}")
