"""Everything that one example writes is undone after it."""

from django.db import transaction


class Savepoint:
    """Begins where it is made."""

    def __init__(self) -> None:
        self._atomic = transaction.atomic()
        self._atomic.__enter__()

    def undo(self) -> None:
        """Back to where it was made."""
        transaction.set_rollback(True)
        self._atomic.__exit__(None, None, None)
