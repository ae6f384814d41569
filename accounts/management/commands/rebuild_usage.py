"""``manage.py rebuild_usage``: counters from the ledger."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.usage import rebuild


class Command(BaseCommand):
    """Exit status 1 with ``--check`` when a counter is not the sum of its entries."""

    help = _("Compares every usage counter with the ledger and mends it; with --check it only says what differs.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Only look?"""
        parser.add_argument("--check", action="store_true", help=_("Change nothing; exit status 1 on a difference."))

    def handle(self, *, check: bool, **_options: Any) -> None:
        """Say each difference on a line."""
        found = rebuild(check=check)
        for one in found:
            self.stdout.write(
                _("account %(account)s, %(month)s, %(column)s: counter %(counter)d, entries %(entries)d")
                % {
                    "account": one.account_id,
                    "month": one.month or "-",
                    "column": one.column,
                    "counter": one.counter,
                    "entries": one.entries,
                }
            )
        self.stdout.write(
            ngettext("%(count)d counter differs.", "%(count)d counters differ.", len(found)) % {"count": len(found)}
        )
        if found and check:
            sys.exit(1)
