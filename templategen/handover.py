"""Waiting templates are handed over for their launch: as many as slots are free, in turn."""

from collections import defaultdict, deque
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Count

from accounts.ledger import limits_of_many
from templategen import actions, credential_status, pipeline, reconcile, turns
from templategen.credentials import credential_of
from templategen.lease import LeaseHolder
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus
from templategen.states import AT_SERVICE, State
from templategen.turns import Waiting

# Claims in one pass: the others' looks must not wait for a long line.
_AT_ONCE = 20
# An unanswered submit holds no slot: it may never have been made. What keeps the line waiting is its search.
_HOLDS_A_SLOT = AT_SERVICE - {State.UNCONFIRMED}


def hand_over(lease: LeaseHolder, *, now: datetime) -> int:
    """Claim templates for free slots and ring for their launch; how many. No paid call is made here."""
    lines: defaultdict[int | None, deque[Waiting]] = defaultdict(deque)
    for one in _within_limits(turns.in_turn(now=now)):
        lines[one.credential_id].append(one)
    return sum(_serve(lease, credential_id, line, now) for credential_id, line in lines.items())


def _within_limits(line: list[Waiting]) -> list[Waiting]:
    """No more of each account than it may have at the service at once. Two queries, however many wait.

    Asked once a pass: nobody but the holder of the lease hands anything over.
    """
    accounts = [one.account_id for one in line]
    limits = {account: own.tasks_at_once for account, own in limits_of_many(accounts).items()}
    limited = [account for account, most in limits.items() if most is not None]
    busy: dict[int, int] = {}
    if limited:
        rows = ActionTemplate.objects.filter(state__in=_HOLDS_A_SLOT, account__in=limited).order_by()
        busy = dict(rows.values("account").annotate(count=Count("pk")).values_list("account", "count"))

    def room(one: Waiting) -> int:
        most = limits[one.account_id]
        return one.count if most is None else min(one.count, most - busy.get(one.account_id, 0))

    return [replace(one, count=room(one)) for one in line if room(one) > 0]


def _serve(lease: LeaseHolder, credential_id: int | None, line: deque[Waiting], now: datetime) -> int:
    count = 0
    while line and count < _AT_ONCE:
        # Asked before as well: a transaction costs the others a lock.
        if _may_go(credential_id, now) is None:
            break
        turn = line.popleft()
        if not _hand_over_one(lease, turn, now):
            continue
        count += 1
        if turn.count > 1:
            line.append(replace(turn, count=turn.count - 1))
    return count


def _hand_over_one(lease: LeaseHolder, turn: Waiting, now: datetime) -> bool:
    with transaction.atomic():
        # Fencing: within this transaction the lease cannot change hands, so that two cannot fill one slot.
        if not lease.renew():
            return False
        status = _may_go(turn.credential_id, now)
        # The account may have got another key since the pass began: its turn is in that one's line.
        if status is None or credential_of(turn.account_id) != turn.credential_id:
            return False
        waiting = ActionTemplate.objects.filter(
            state=State.QUEUED, next_look_at__lte=now, account_id=turn.account_id
        ).order_by("queued_at", "pk")
        template = waiting.select_related("clip").first()
        token = pipeline.claim_submit(template, now=now) if template is not None else None
        if template is None or token is None:
            return False
        if status.paused_at is not None and not credential_status.begin_probe(status, now=now):
            # Another was first to try: this claim never was.
            transaction.set_rollback(True)
            return False
        turns.serve(turn.account_id, now=now)
        actions.ring("launch", template_pk=template.pk, token=token)
    return True


def _may_go(credential_id: int | None, now: datetime) -> CredentialStatus | None:
    """The credential's status if one more may be handed over now, else None.

    While a submit is under way or unresolved no other goes out, so that what the task list then shows is its own: two
    that lost their answers at once could not be told apart. Of a paused credential a single one goes out, to see.
    """
    status = credential_status.status_of(credential_id)
    if not credential_status.may_submit(status, now=now) or reconcile.pending(credential_id):
        return None
    at_service = ActionTemplate.objects.filter(state__in=_HOLDS_A_SLOT, credential=credential_id)
    if at_service.filter(state=State.SUBMITTING).exists():
        return None
    room = max(settings.DASHSCOPE_SLOTS, 1) + max(settings.DASHSCOPE_PENDING, 0)
    return status if at_service.count() < room else None
