"""A template's events in words: what happened, when, and who did it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.history import names_in
from templategen.error_texts import said
from templategen.models import ActionTemplate, Event
from templategen.redact import redact
from templategen.states import State

# Refusals for a passing cause can be many; the newest tell enough.
MOST_EVENTS = 100

_ARRIVED: dict[str, str | Promise] = {
    State.CHECKING: gettext_lazy("The check began"),
    State.BLOCKED: gettext_lazy("The check stopped it"),
    State.QUEUED: gettext_lazy("It waits for its turn"),
    State.SUBMITTING: gettext_lazy("It is being sent to Alibaba"),
    State.UNCONFIRMED: gettext_lazy("It was sent, and no answer came"),
    State.PENDING: gettext_lazy("Alibaba took it into its line"),
    State.RUNNING: gettext_lazy("Alibaba began to make it"),
    State.READY: gettext_lazy("The template ID is here"),
    State.FAILED: gettext_lazy("Alibaba could not make it"),
    State.LOST: gettext_lazy("Alibaba no longer knows the task"),
    State.CANCELED: gettext_lazy("It was canceled"),
}
# Where the state before tells more.
_BETWEEN: dict[tuple[str, str], str | Promise] = {
    (State.UPLOADING, State.CHECKING): gettext_lazy("The upload is complete; the check began"),
    (State.CHECKING, State.QUEUED): gettext_lazy("It passed the check and waits for its turn"),
    (State.SUBMITTING, State.QUEUED): gettext_lazy("It could not be sent and waits to be sent again"),
    (State.UNCONFIRMED, State.PENDING): gettext_lazy("It was found in Alibaba's task list"),
    (State.UNCONFIRMED, State.QUEUED): gettext_lazy("Alibaba was proved not to have it; it is sent again"),
    (State.UNCONFIRMED, State.FAILED): gettext_lazy("Alibaba refused it"),
    (State.SUBMITTING, State.FAILED): gettext_lazy("Alibaba refused it"),
    (State.LOST, State.RUNNING): gettext_lazy("Alibaba knows the task again"),
    (State.CANCELED, State.CHECKING): gettext_lazy("It is checked again"),
    (State.BLOCKED, State.CHECKING): gettext_lazy("It is checked again"),
    (State.FAILED, State.QUEUED): gettext_lazy("It is tried again"),
    (State.LOST, State.QUEUED): gettext_lazy("It is tried again"),
    (State.CANCELED, State.QUEUED): gettext_lazy("It is tried again"),
    (State.UPLOADING, State.CANCELED): gettext_lazy("The upload was canceled"),
}
# Where a person did it, and it is not the same as when the machine does.
_DECIDED: dict[tuple[str, str], str | Promise] = {
    (State.UNCONFIRMED, State.PENDING): gettext_lazy("Its task was named"),
    (State.UNCONFIRMED, State.QUEUED): gettext_lazy("It is to be sent again"),
    (State.UNCONFIRMED, State.CANCELED): gettext_lazy("It was given up"),
    (State.LOST, State.RUNNING): gettext_lazy("Its task was named"),
    (State.PENDING, State.LOST): gettext_lazy("It was called lost: nobody could read what became of it"),
    (State.RUNNING, State.LOST): gettext_lazy("It was called lost: nobody could read what became of it"),
}
_HAPPENED: dict[str, str | Promise] = {
    Event.Kind.STARTED: gettext_lazy("The upload began"),
    Event.Kind.DELETED: gettext_lazy("It was deleted"),
    Event.Kind.RESTORED: gettext_lazy("It was restored"),
    Event.Kind.TASK_FOUND: gettext_lazy("A late answer named a task that it no longer waits for"),
    Event.Kind.CANCEL_WANTED: gettext_lazy("It was asked to be canceled"),
    Event.Kind.LOOK_WANTED: gettext_lazy("Alibaba was to be asked again"),
}
_SHOWN_DETAIL = ("code", "message", "task_id", "template_id", "request_id")


@dataclass(frozen=True)
class Happening:
    """One line of the history."""

    text: str
    who: str
    at: datetime
    attempt: int
    detail: tuple[str, ...]


def history_of(template: ActionTemplate) -> list[Happening]:
    """The newest first."""
    events = template.events.select_related("by").order_by("-at", "-pk")[:MOST_EVENTS]
    name_of = names_in(template.account_id)
    return [
        Happening(_words(event), name_of(event.by), event.at, event.attempt, _detail(event.detail)) for event in events
    ]


def _words(event: Event) -> str:
    if event.kind == Event.Kind.MOVED:
        return _moved(event)
    if event.kind == Event.Kind.RENAMED:
        return _("It was renamed from “%(old)s” to “%(new)s”") % {
            "old": event.detail.get("old", ""),
            "new": event.detail.get("new", ""),
        }
    return str(_HAPPENED.get(event.kind, event.get_kind_display()))


def _moved(event: Event) -> str:
    between = event.start, event.to
    decided = _DECIDED.get(between) if event.by_id else None
    return str(decided or _BETWEEN.get(between) or _ARRIVED.get(event.to) or event.get_kind_display())


def _detail(detail: dict[str, Any]) -> tuple[str, ...]:
    told = {name: str(detail[name]) for name in _SHOWN_DETAIL if detail.get(name)}
    return tuple(said(word) if name == "message" else redact(word) for name, word in told.items())
