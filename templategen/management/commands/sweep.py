"""One pass of the sweep by hand."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from templategen import reconcile, standing, sweep


class Command(BaseCommand):
    """Do now what the worker does every few seconds, and say what was done."""

    help = (
        "One pass over what should be moving and is not: lost messages, dead workers, unanswered submits, abandoned "
        "uploads, old trash. The worker does the same by itself; this is safe beside it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-reconcile", action="store_true", help="do not read Alibaba's list of tasks")

    def handle(self, *args: Any, **options: Any) -> None:
        standing.queue_length()  # raises where the queue's server is away: each step would say so at length
        now = timezone.now()
        done = {"senders_found_gone": reconcile.bury_senders(now=now)}
        if not options["no_reconcile"]:
            done["unanswered_looked_for"] = reconcile.unconfirmed(now=now)
        done |= sweep.once(now=now)
        for name, count in done.items():
            if count:
                self.stdout.write(f"{name}={count}")
        if not any(done.values()):
            self.stdout.write("nothing to do")
