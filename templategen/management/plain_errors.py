"""What a command says in place of a traceback, where the surroundings are at fault and not the code."""

from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _


def words_for(problem: Exception) -> str | None:
    """What is wrong and what to do; None for anything else, which deserves its traceback."""
    if _is_redis_away(problem):
        return _(
            "The queue's Redis server cannot be reached (%(problem)s): look at REDIS_URL, and whether it runs."
        ) % {"problem": problem}
    if not isinstance(problem, OperationalError | ProgrammingError):
        return None
    try:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as worse:
        return _("The database cannot be reached (%(problem)s): look at DATABASE_URL, and whether its server runs.") % {
            "problem": " ".join(str(worse).split())
        }
    if not missing:
        return None
    return _('The database lacks %(count)d migrations: run "manage.py migrate" ("manage.py up" does so by itself).') % {
        "count": missing
    }


def _is_redis_away(problem: Exception) -> bool:
    """By its class's name, for its library is an extra."""
    kind = type(problem)
    return kind.__module__.startswith("redis.") and kind.__name__ in {"ConnectionError", "TimeoutError"}
