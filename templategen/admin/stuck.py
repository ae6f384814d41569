"""What is stuck, and why: the rows of the pipeline's page, each with what a person can do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from templategen import actions, credential_status, reconcile, standing
from templategen.error_texts import ErrorText, explain, said
from templategen.models import ActionTemplate, TemplateQuerySet
from templategen.pipeline_models import CredentialStatus
from templategen.redact import redact
from templategen.states import CANCELABLE, FOR_A_PERSON, LOOKED_AT, RETRYABLE, UNDECIDED, State

MOST_ROWS = 50
MOST_CANDIDATES = 20
# Counting stops there: that there are more is enough to know.
MOST_COUNTED = 10_000


@dataclass(frozen=True)
class Candidate:
    """A task of Alibaba's list that may be an unconfirmed template's own, in the service's words."""

    task_id: str
    status: str
    made_at: datetime | None
    request_id: str


@dataclass(frozen=True)
class Choices:
    """What may be done about a template in its present state. actions.py has the last word."""

    retry: bool = False
    look: bool = False
    cancel: bool = False
    adopt: bool = False
    resubmit: bool = False
    call_lost: bool = False
    # A new attempt may be billed although the one before is, too.
    may_bill_twice: bool = False


@dataclass(frozen=True)
class Row:
    """A template with what is known of its trouble; ``said`` is the service's own message, redacted."""

    template: ActionTemplate
    text: ErrorText | None
    said: str
    candidates: Sequence[Candidate]
    more_candidates: int
    choices: Choices
    # Until when the machine looks for its answer at the latest; None where it does not.
    looked_for_until: datetime | None = None
    # When the machine does something next; None where it leaves that to a person.
    next_step_at: datetime | None = None


@dataclass(frozen=True)
class Part:
    """The first rows of a kind; ``count`` is how many there are, up to MOST_COUNTED."""

    rows: Sequence[Row]
    count: int

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.count - len(self.rows)


@dataclass(frozen=True)
class Trouble:
    """A credential that is paused or throttled, with words; ``said`` is the service's own message, redacted."""

    status: CredentialStatus
    name: str
    text: ErrorText | None
    said: str
    paused: bool
    submits_held: bool
    looks_held: bool


def choices_of(template: ActionTemplate) -> Choices:
    """What the state allows."""
    state = State(template.state)
    for_a_person = state in UNDECIDED and template.error_code == FOR_A_PERSON
    if template.deleted_at is not None:
        return Choices()
    return Choices(
        retry=state in RETRYABLE and template.error_code != "limits",
        look=state in LOOKED_AT | UNDECIDED,
        cancel=state in CANCELABLE,
        adopt=for_a_person or state == State.LOST,
        resubmit=for_a_person,
        call_lost=actions.may_be_called_lost(template, now=timezone.now()),
        may_bill_twice=for_a_person or state == State.LOST or template.error_code == "given_up",
    )


def row_of(template: ActionTemplate) -> Row:
    """One template, as its page and the pipeline's page show it."""
    found = [_candidate(each) for each in template.found if isinstance(each, dict) and each.get("task_id")]
    asks_person = template.state in UNDECIDED and template.error_code == FOR_A_PERSON
    is_looked_for = template.state in UNDECIDED and not asks_person and template.sent_at is not None
    return Row(
        template=template,
        text=explain(template),
        said=said(template.error_message),
        candidates=found[:MOST_CANDIDATES],
        more_candidates=max(len(found) - MOST_CANDIDATES, 0),
        choices=choices_of(template),
        looked_for_until=reconcile.look_until(template) if is_looked_for else None,
        next_step_at=None if asks_person else template.next_look_at,
    )


def parts(*, now: datetime) -> dict[str, Part]:
    """Every kind of trouble that a template can have, by name."""
    kept = ActionTemplate.objects.filter(deleted_at=None)
    return {
        "unread": _part(standing.unread(now=now)),
        "undecided": _part(standing.undecided()),
        "looked_for": _part(standing.looked_for()),
        "overdue": _part(standing.overdue(now=now)),
        "lost": _part(kept.filter(state=State.LOST).order_by("-changed_at", "-pk")),
    }


def troubles(*, now: datetime) -> list[Trouble]:
    """Credentials with which something is wrong, paused ones first."""
    paused = credential_status.paused()
    held = [
        status
        for status in CredentialStatus.objects.filter(paused_at=None).order_by("key")
        if _later(status.submits_held_until, now) or _later(status.looks_held_until, now)
    ]
    names = credential_status.names_of([*paused, *held])
    return [_trouble(status, names[status.key], now) for status in [*paused, *held]]


def _part(templates: TemplateQuerySet) -> Part:
    rows = [row_of(template) for template in templates.select_related("account", "clip")[:MOST_ROWS]]
    if len(rows) < MOST_ROWS:
        return Part(rows, len(rows))
    return Part(rows, templates.order_by()[:MOST_COUNTED].count())


def _later(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now


def _trouble(status: CredentialStatus, name: str, now: datetime) -> Trouble:
    paused = status.paused_at is not None
    return Trouble(
        status=status,
        name=name,
        text=explain(_paused_row(status)) if paused else None,
        said=redact(status.pause_message),
        paused=paused,
        submits_held=_later(status.submits_held_until, now),
        looks_held=_later(status.looks_held_until, now),
    )


def _paused_row(status: CredentialStatus) -> ActionTemplate:
    own = None if status.key == credential_status.SITE else int(status.key)
    return ActionTemplate(state=State.QUEUED, error_code=status.pause_code, credential_id=own)


def _candidate(found: dict[str, Any]) -> Candidate:
    texts = {name: str(found.get(name) or "") for name in ("task_id", "status", "request_id")}
    return Candidate(made_at=_moment(found.get("made_at")), **texts)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
