"""Looks at open tasks: per credential, within its limit of queries, several under way at once.

Threads of a ``Pool`` make the calls and touch no database; the conductor's thread decides what is asked for and records
what came, in batches. Where many tasks are open a ``Walk`` through the task list tells which of them have ended; only
those are asked for one by one.
"""

from templategen.watch.pool import Asking, ClosedError, OverdueError, Pool
from templategen.watch.watcher import Watcher

__all__ = ["Asking", "ClosedError", "OverdueError", "Pool", "Watcher"]
