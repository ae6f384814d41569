"""One pass of the sweep by hand."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from templategen import reconcile, standing, sweep

_WORDS = {
    "senders_found_gone": gettext_lazy("Submitting processes found dead"),
    "unanswered_looked_for": gettext_lazy("Unanswered submits looked for"),
    "stamps_brought_back": gettext_lazy("Times brought back from the future"),
    "checks_rung": gettext_lazy("Checks put into the queue again"),
    "launches_rung": gettext_lazy("Submits put into the queue again"),
    "cancels_rung": gettext_lazy("Cancellations put into the queue again"),
    "claims_given_back": gettext_lazy("Templates put back into the line"),
    "calls_without_an_answer": gettext_lazy("Submits that got no answer"),
    "uploads_expired": gettext_lazy("Unfinished uploads expired"),
    "parts_thrown_away": gettext_lazy("Unfinished uploads thrown away in storage"),
    "removed_from_trash": gettext_lazy("Deleted templates removed for good"),
    "objects_removed": gettext_lazy("Videos removed from storage"),
    "results_unread": gettext_lazy("Results not read for long"),
    "owners_told": gettext_lazy("Accounts whose owners were told of their quota"),
    "pauses_told": gettext_lazy("Accounts whose owners were told that their Alibaba key is paused"),
    "tables_pruned": gettext_lazy("Old rows removed by housekeeping"),
}


class Command(BaseCommand):
    """Do now what the worker does every few seconds, and say what was done."""

    help = _(
        "One pass over what should be moving and is not: lost messages, dead workers, unanswered submits, abandoned "
        "uploads, old trash. The worker does the same by itself; this is safe beside it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-reconcile", action="store_true", help=_("Do not read Alibaba's list of tasks."))

    def handle(self, *args: Any, **options: Any) -> None:
        standing.queue_length()  # raises where the queue's server is away: each step would say so at length
        now = timezone.now()
        done = {"senders_found_gone": reconcile.bury_senders(now=now)}
        if not options["no_reconcile"]:
            done["unanswered_looked_for"] = reconcile.unconfirmed(now=now)
        done |= sweep.once(now=now)
        for name, count in done.items():
            if count:
                self.stdout.write(_("%(what)s: %(count)d") % {"what": _WORDS[name], "count": count})
        if not any(done.values()):
            self.stdout.write(_("Nothing had to be done."))
