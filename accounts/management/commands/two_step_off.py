"""Turns two-step sign-in off for somebody who has lost phone and recovery codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from accounts import sessions, two_step
from accounts.models import User


class Command(BaseCommand):
    """``two_step_off E-MAIL``: ask them for no code any more, and sign them out everywhere."""

    help = _("Turns two-step sign-in off for a user who has lost phone and recovery codes. Be sure that it is they.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("email", metavar="E-MAIL", help=_("The user's e-mail address."))

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises CommandError for an address that nobody here has."""
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError(_("Nobody here has the address %(email)s.") % {"email": options["email"]})
        if not two_step.turn_off(user):
            self.stdout.write(_("%(email)s had no two-step sign-in.") % {"email": user.email})
            return
        sessions.end_all(user)
        self.stdout.write(
            _("%(email)s signs in without a code now, and was signed out everywhere.") % {"email": user.email}
        )
