"""Who is next: accounts that share a credential take turns; within an account, first come, first served.

Written down, so that another process that takes over goes on where the first stopped.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, OuterRef, Subquery

from accounts.models import Account
from templategen.credentials import own_credential
from templategen.models import ActionTemplate
from templategen.pipeline_models import Turn
from templategen.states import State


@dataclass(frozen=True)
class Waiting:
    """An account with templates in line: how many, since when the first, and when it was served last."""

    account_id: int
    credential_id: int | None
    count: int
    first: datetime | None
    served_at: datetime | None


def in_turn(*, now: datetime | None = None) -> list[Waiting]:
    """Accounts with waiting templates, whoever was served longest ago first; with ``now`` only those due by then.

    A suspended account has no turn.
    """
    rows = ActionTemplate.objects.filter(state=State.QUEUED).exclude(account__status=Account.Status.SUSPENDED)
    if now is not None:
        rows = rows.filter(next_look_at__lte=now)
    served_at = Subquery(Turn.objects.filter(account=OuterRef("account")).values("at")[:1])
    found = (
        rows.order_by()
        .values("account")
        .annotate(own=own_credential(), count=Count("pk"), first=Min("queued_at"), served_at=served_at)
    )
    waiting = [Waiting(*line) for line in found.values_list("account", "own", "count", "first", "served_at")]
    return sorted(waiting, key=_rank)


def _rank(waiting: Waiting) -> tuple[bool, float, int]:
    """Whoever was never served comes first; among those, who waits longest."""
    at = waiting.served_at or waiting.first
    return waiting.served_at is not None, at.timestamp() if at else 0.0, waiting.account_id


def serve(account_id: int, *, now: datetime) -> None:
    """The account had its turn. Called within the transaction that hands one of its templates over."""
    Turn.objects.update_or_create(account_id=account_id, defaults={"at": now})
