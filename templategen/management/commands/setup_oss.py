"""``manage.py setup_oss``: the bucket's CORS and lifecycle rules."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from templategen.clients.build import storage
from templategen.clients.storage import StorageError
from templategen.management.bucket_rules import TooManyRulesError, apply_rules, site_origins
from templategen.management.mending import storage_mend, storage_words


class Command(BaseCommand):
    """Run again it changes nothing. Rules that are not ours stay."""

    help = _("Lets the site's pages upload to the bucket (CORS) and throws unfinished uploads away (lifecycle).")

    def handle(self, **_options: Any) -> None:
        """Say what changed. Exit status 1 when OSS refused."""
        try:
            changes = apply_rules(storage(), origins=site_origins())
        except TooManyRulesError as problem:
            raise CommandError(str(problem)) from None
        except StorageError as problem:
            permissions = "oss:GetBucketCors, oss:PutBucketCors, oss:GetBucketLifecycle, oss:PutBucketLifecycle"
            raise CommandError(
                _("OSS refused: %(what)s – %(fix)s")
                % {"what": storage_words(problem), "fix": storage_mend(problem, permission=permissions)}
            ) from None
        for change in changes:
            self.stdout.write(change)
        if not changes:
            self.stdout.write(_("Bucket %(bucket)s is set up already.") % {"bucket": settings.OSS_BUCKET})
