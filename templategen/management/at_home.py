"""What a worker asks before it begins: is this the copy of the database that is to be conducted?"""

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _

from templategen import restored


def require_home() -> None:
    """Raise CommandError for a database that was put back from a backup, and for one that does not answer."""
    try:
        elsewhere = restored.is_elsewhere()
    except DatabaseError as problem:
        raise CommandError(
            _('The database does not answer, or lacks its tables: %(problem)s. Look at DATABASE_URL, or run '
              '"manage.py migrate".') % {"problem": str(problem).strip()}
        ) from None  # fmt: skip
    finally:
        connections.close_all()
    if elsewhere:
        raise CommandError(
            _("This database was put back from a backup, or moved. What waits in it may have been sent and paid for "
              'since. Nothing is sent before "manage.py after_restore" was run (docs/operations.md, "Backup and '
              'restore").')
        )  # fmt: skip
