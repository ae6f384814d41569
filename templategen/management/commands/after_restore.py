"""``manage.py after_restore``: makes a database that was put back from a backup safe to go on with."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from templategen import restored
from templategen.clients.dashscope import DashScopeError
from templategen.models import ActionTemplate
from templategen.pipeline_models import Lease
from templategen.states import State

# By credential; None is the site's.
_Found = dict[int | None, list[dict[str, Any]]]


class Command(BaseCommand):
    """Exit status: 0 done; 1 a worker runs, or something is left to do (said on standard error)."""

    help = _(
        "After a restore, before a worker is started: leaves to people's decision what may have been submitted since "
        "the backup, and lists the tasks at Alibaba that no template here owns."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What not to do."""
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument(
            "--nothing-was-sent",
            action="store_true",
            help=_("No worker has run since the backup (the site only moved): hold nothing, go on here."),
        )
        choice.add_argument("--tasks-only", action="store_true", help=_("Only list the tasks; change nothing."))

    def handle(self, *, nothing_was_sent: bool, tasks_only: bool, **_options: Any) -> None:
        """Hold, list, settle."""
        if nothing_was_sent:
            _require_no_worker()
            restored.settle()
            self.stdout.write(_("Nothing is held; the worker may be started."))
            return
        if not tasks_only:
            _require_no_worker()
        found, troubles = _read()
        if not tasks_only:
            troubles.insert(0, self._hold(found))
        trouble = "\n".join(filter(None, troubles))
        self._list([task for tasks in found.values() for task in tasks])
        if trouble:
            self.stderr.write(trouble)
            self.stderr.write(_("Not everything could be done. Mend it, then run after_restore --tasks-only."))
            sys.exit(1)

    def _hold(self, found: _Found) -> str:
        """Hold and settle; what could not be done."""
        held = restored.hold(found)
        restored.settle()
        self.stdout.write(
            _("Left to people's decision, for they may have been sent since the backup: %(sent)d. Checks stopped: "
              "%(checks)d. Uploads canceled: %(uploads)d.")
            % {"sent": held.maybe_sent, "checks": held.checks, "uploads": held.uploads}
        )  # fmt: skip
        waiting = ActionTemplate.objects.filter(state=State.UNCONFIRMED).select_related("clip", "account")
        for template in waiting.order_by("account", "pk"):
            seconds = f"{template.clip.duration_s:.2f} s" if template.clip.duration_s is not None else "?"
            self.stdout.write(f"  {template.public_id}  {seconds}  {template.account.slug}  {template.name}")
        return "\n".join(held.left)

    def _list(self, tasks: list[dict[str, Any]]) -> None:
        self.stdout.write(
            _("Tasks of the last 24 hours at Alibaba that no template here owns: %(count)d") % {"count": len(tasks)}
        )
        for task in tasks:
            seconds = task.get("seconds")
            told = [task["task_id"], task["made_at"], task["status"], f"{seconds:.2f} s" if seconds else "",
                    task.get("template_id", "")]  # fmt: skip
            self.stdout.write("  " + "  ".join(filter(None, told)))
        if tasks:
            self.stdout.write(
                _("Name the task of each template on its page; keep the template IDs of those whose template was "
                  "made after the backup: they are gone from Alibaba a day after they were made.")
            )  # fmt: skip


def _read() -> tuple[_Found, list[str]]:
    """Each credential's list; what could not be read. Two keys of one Alibaba account show the same tasks."""
    found: _Found = {}
    troubles: list[str] = []
    for credential_id in restored.credentials_in_question():
        slug = Account.objects.filter(credentials=credential_id).values_list("slug", flat=True).first()
        whose = f"{slug}: " if credential_id is not None else ""
        try:
            found[credential_id], whole = restored.unowned_tasks(credential_id)
        except DashScopeError as problem:
            troubles.append(f"{whose}{problem}")
            continue
        if not whole:
            text = _("Alibaba's list of tasks could not be read to its end: some may be missing.")
            troubles.append(f"{whose}{text}")
    return found, troubles


def _require_no_worker() -> None:
    conductor = Lease.objects.filter(name="conductor", until__gt=timezone.now()).first()
    if conductor is not None:
        raise CommandError(
            _("A worker seems to run (%(owner)s). Stop every worker, wait half a minute, and run this again.")
            % {"owner": conductor.owner}
        )
