"""Put back from a backup: what may have been sent to DashScope since then must not silently be sent again.

A backup knows nothing of what was done after it. Rows that still wait in it may long have been submitted, and paid for;
the messages in it would launch them once more. So each copy of the database has a home: a row says in which server,
database and table it lives (for SQLite: that it is no backup). A copy that finds itself elsewhere is no
longer conducted by ``manage.py worker`` until ``manage.py after_restore`` has put every such row before a person.

What cannot be noticed: a whole disk or data folder set back (snapshot, point in time). Then the command is run by hand.
"""

import logging
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import Credential
from templategen import actions, credential_status
from templategen.clients.build import dashscope
from templategen.clients.dashscope import SUCCESS_WORDS, DashScope
from templategen.credentials import credential_of
from templategen.models import ActionTemplate, Event
from templategen.pipeline_models import Lease
from templategen.states import AT_SERVICE, FOR_A_PERSON, State
from templategen.task_list import Listed, Question, gather

logger = logging.getLogger(__name__)

# Of all copies of a database one is conducted: it holds this lease, for good.
LEASE = "copy"
BACKUP = "backup"
"""What a backup says of itself instead of a home (``manage.py backup``, for SQLite)."""
CODE = "restored"
_EVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass
class Held:
    """What was put before a person: how many rows of each kind."""

    maybe_sent: int = 0
    checks: int = 0
    uploads: int = 0
    # Uploads that could not be canceled, with the reason.
    left: list[str] = field(default_factory=list)


def looks_elsewhere() -> bool:
    """Whether a worker would find so; changes nothing."""
    lease = Lease.objects.filter(name=LEASE).first()
    return lease is not None and lease.owner != _home()


def is_elsewhere() -> bool:
    """Whether this database was copied here from somewhere else. The first to ask makes it at home."""
    lease, _made = Lease.objects.get_or_create(name=LEASE, defaults={"owner": _home(), "until": _EVER})
    return lease.owner != _home()


def settle() -> None:
    """From now on this copy is the one that is conducted."""
    Lease.objects.update_or_create(name=LEASE, defaults={"owner": _home(), "until": _EVER})


def _home() -> str:
    """Where this copy lives. A dump that is loaded again gets new object numbers, also in the same server."""
    if connection.vendor != "postgresql":
        return connection.vendor
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()),"
            " 'templategen_lease'::regclass::oid, has_function_privilege('pg_control_system()', 'execute')"
        )
        database, table, may_ask = cursor.fetchone()
        if not may_ask:
            return f"{database}/{table}"
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return f"{cursor.fetchone()[0]}/{database}/{table}"


def hold(found: dict[int | None, list[dict[str, Any]]]) -> Held:
    """Put before a person whatever may have been submitted since the backup was made.

    Waiting ones and those with an open call become UNCONFIRMED, left to a person, with ``found`` of their own key
    (``unowned_tasks``) to choose from; checks are stopped (BLOCKED, to be asked for again); uploads are canceled. Ended
    ones stay, and so do those with a task ID, which is looked at as ever. May be run again.
    """
    held = Held()
    for template in ActionTemplate.objects.filter(state__in=[State.QUEUED, State.SUBMITTING, State.UNCONFIRMED]):
        if template.state == State.QUEUED:
            # With whose key it was sent since, if it was: nobody else's tasks are laid out for it.
            template.credential_id = credential_of(template.account_id)
        held.maybe_sent += _leave_to_a_person(template, found.get(template.credential_id, []))
    for template in ActionTemplate.objects.filter(state=State.CHECKING):
        held.checks += template.move(State.BLOCKED, error_code=CODE, claim_token="", detail={"decision": CODE})
    for template in ActionTemplate.objects.select_related("clip").filter(state=State.UPLOADING):
        try:
            actions.cancel(template, by=None)
            held.uploads += 1
        except actions.ActionError as problem:
            held.left.append(f"{template.public_id}: {problem}")
    return held


def _leave_to_a_person(template: ActionTemplate, found: list[dict[str, Any]]) -> bool:
    """UNCONFIRMED without a time of sending: nothing that the task list shows or lacks proves anything of it."""
    detail = {"decision": CODE, "sent_at": template.sent_at.isoformat() if template.sent_at else ""}
    if template.state == State.QUEUED:
        # A claim that no message knows of: whatever lies in the queue is stale.
        token = uuid.uuid4().hex
        if not template.move(
            State.SUBMITTING,
            claim_token=token,
            claimed_at=timezone.now(),
            detail=detail,
            credential_id=template.credential_id,
        ):
            return False
    values: dict[str, Any] = {"sent_at": None, "error_code": FOR_A_PERSON, "error_message": CODE, "found": found}
    if template.state == State.SUBMITTING:
        values["claim_token"] = uuid.uuid4().hex
        return template.move(State.UNCONFIRMED, detail=detail, **values)
    same = ActionTemplate.objects.filter(pk=template.pk, state=State.UNCONFIRMED)
    return bool(same.update(version=F("version") + 1, changed_at=timezone.now(), **values))


def credentials_in_question() -> list[int | None]:
    """The site's, and every own one that a row may have been sent with since the backup: in use, or of open rows."""
    rows = ActionTemplate.objects.filter(state__in=AT_SERVICE, credential__isnull=False)
    own = set(rows.order_by().values_list("credential", flat=True).distinct())
    own |= set(Credential.objects.filter(retired_at=None).values_list("pk", flat=True))
    return [None, *sorted(pk for pk in own if pk is not None)]


def unowned_tasks(credential_id: int | None = None) -> tuple[list[dict[str, Any]], bool]:
    """Tasks of the last 24 hours that no template here owns, the newest first; and whether the list was read whole.

    Each has ``task_id``, ``status``, ``made_at`` (ISO 8601) and ``request_id`` as in ``ActionTemplate.found``; those
    that succeeded also ``template_id`` and ``seconds``, for an ID stands nowhere else and is gone a day later. Raises
    DashScopeError where the service does not answer, or the credential's key cannot be used.
    """
    client = dashscope(credential_id)
    gathered = gather(client, Question(page_size=credential_status.status_of(credential_id).page_size))
    if gathered.problem is not None:
        raise gathered.problem
    ids = [task.task_id for task in gathered.tasks]
    owned = set(Event.objects.filter(task_id__in=ids).values_list("task_id", flat=True))
    owned |= set(ActionTemplate.objects.filter(task_id__in=ids).values_list("task_id", flat=True))
    unowned = [_described(client, task) for task in gathered.tasks if task.task_id not in owned]
    return sorted(unowned, key=itemgetter("made_at"), reverse=True), gathered.whole


def _described(client: DashScope, listed: Listed) -> dict[str, Any]:
    told: dict[str, Any] = listed.to_dict()
    if listed.status in SUCCESS_WORDS:
        task = client.get_task(listed.task_id)
        told |= {"template_id": task.template_id, "seconds": task.video_duration}
        logger.info("task that no template owns", extra={"task_id": task.task_id, "template_id": task.template_id})
    return told
