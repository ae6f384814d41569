"""`manage.py sandbox`: the stand-in for OSS and DashScope, with the product's data folder as default."""

import sys
from typing import NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand

from templategen.sandbox.cli import main


class Command(BaseCommand):
    """Hands its arguments to the sandbox unread; `--help` lists them."""

    help = "Start the local stand-in for Alibaba OSS and DashScope."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        """Past Django's own argument parsing: the sandbox knows nothing of Django."""
        sys.exit(main(argv[2:], prog="manage.py sandbox", data=settings.DATA_DIR / "sandbox"))
