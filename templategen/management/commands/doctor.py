"""``manage.py doctor``: proves the configuration step by step and says how to mend each."""

import sys
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from templategen.management.examination import examine
from templategen.management.examine_oss import OssExamination
from templategen.management.examine_site import dashscope_steps, machine_steps


class Command(BaseCommand):
    """Nothing it does is billed as a template: it lists tasks, and stores and deletes 1,000 bytes."""

    help = _("Proves settings, database, worker, OSS and DashScope step by step; exit status 1 if one fails.")
    # The first step itself: a wrong setting is a line like the others.
    requires_system_checks = []

    def handle(self, **_options: Any) -> None:
        """One line a step."""
        oss = OssExamination()
        failed = warned = 0
        try:
            for result in chain(examine(machine_steps()), examine(oss.steps()), examine(dashscope_steps())):
                self.stdout.write(str(result))
                self.stdout.flush()
                failed += result.verdict == "FAIL"
                warned += result.verdict == "warn"
        finally:
            oss.clean_up()
        if failed:
            self.stdout.write(_("%(count)d to mend.") % {"count": failed})
            sys.exit(1)
        if warned:
            self.stdout.write(
                ngettext("Nothing fails; %(count)d warning.", "Nothing fails; %(count)d warnings.", warned)
                % {"count": warned}
            )
            return
        self.stdout.write(_("All is well."))
