"""A submit without an answer, laid out for whoever has to decide: what is known, what was found, what can be done."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from templategen import reconcile
from templategen.actions.undecided import decidable_from, of_others
from templategen.models import ActionTemplate
from templategen.states import FOR_A_PERSON, State

MOST_CANDIDATES = 20
# The service's words (task page); others are shown as they came.
_STATUS: dict[str, str | Promise] = {
    "PENDING": _("In line at Alibaba"),
    "RUNNING": _("Being made"),
    "SUCCEEDED": _("Done"),
    "SUCCEED": _("Done"),
    "FAILED": _("Failed"),
    "CANCELED": _("Canceled"),
    "SUSPENDED": _("Stopped for now"),
    "UNKNOWN": _("Unknown to Alibaba"),
}


@dataclass(frozen=True)
class Candidate:
    """A task of Alibaba's list that may be the template's own. ``made_at`` is None where the list did not say."""

    task_id: str
    status: str | Promise
    made_at: datetime | None
    request_id: str


@dataclass(frozen=True)
class Undecided:
    """What a person reads before they decide."""

    sent_at: datetime | None
    candidates: tuple[Candidate, ...]
    # How many more were found than are shown.
    more: int
    # How many may be another account's: whoever runs the site decides about those.
    hidden: int
    # Before that nobody may decide: its task could be taken for another's. None once that is over.
    not_before: datetime | None


@dataclass(frozen=True)
class Search:
    """How the machine is looking for the answer itself."""

    sent_at: datetime
    # The process that sent it may still be at it; else the task list is read.
    is_call_open: bool
    # By then a person decides at the latest.
    until: datetime


def search_of(template: ActionTemplate) -> Search | None:
    """For a template whose answer the machine still looks for; None for every other."""
    if template.state != State.UNCONFIRMED or template.error_code == FOR_A_PERSON or template.sent_at is None:
        return None
    return Search(template.sent_at, template.call_over_at is None, reconcile.look_until(template))


def undecided_of(template: ActionTemplate) -> Undecided | None:
    """For a template that waits for a person's decision; None for every other."""
    if template.state != State.UNCONFIRMED or template.error_code != FOR_A_PERSON:
        return None
    laid_out = [_candidate(each) for each in template.found if isinstance(each, dict) and each.get("task_id")]
    theirs = of_others(template, [each.task_id for each in laid_out])
    found = [each for each in laid_out if each.task_id not in theirs]
    return Undecided(
        sent_at=template.sent_at,
        candidates=tuple(found[:MOST_CANDIDATES]),
        more=max(0, len(found) - MOST_CANDIDATES),
        hidden=len(laid_out) - len(found),
        not_before=_not_before(template),
    )


def _not_before(template: ActionTemplate) -> datetime | None:
    first = decidable_from(template)
    return first if first is not None and first > timezone.now() else None


def _candidate(found: dict[str, Any]) -> Candidate:
    status = str(found.get("status") or "")
    return Candidate(
        task_id=str(found["task_id"]),
        status=_STATUS.get(status.upper(), status),
        made_at=_moment(found.get("made_at")),
        request_id=str(found.get("request_id") or ""),
    )


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
