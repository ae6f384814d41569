"""A template's events in words: what happened, when, and who did it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from templategen.models import ActionTemplate, Event
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
    (State.UNCONFIRMED, State.QUEUED): gettext_lazy("It is to be sent again"),
    (State.FAILED, State.QUEUED): gettext_lazy("It is tried again"),
    (State.LOST, State.QUEUED): gettext_lazy("It is tried again"),
    (State.CANCELED, State.QUEUED): gettext_lazy("It is tried again"),
    (State.UPLOADING, State.CANCELED): gettext_lazy("The upload was canceled"),
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
    return [
        Happening(_words(event), event.by.email if event.by else "", event.at, event.attempt, _detail(event.detail))
        for event in events
    ]


def _words(event: Event) -> str:
    if event.kind == Event.Kind.MOVED:
        return str(_BETWEEN.get((event.start, event.to)) or _ARRIVED.get(event.to) or event.get_kind_display())
    if event.kind == Event.Kind.RENAMED:
        return _("It was renamed from “%(old)s” to “%(new)s”") % {
            "old": event.detail.get("old", ""),
            "new": event.detail.get("new", ""),
        }
    if event.kind == Event.Kind.DELETED:
        return _("It was deleted")
    if event.kind == Event.Kind.RESTORED:
        return _("It was restored")
    return _("The upload began")


def _detail(detail: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(detail[name]) for name in _SHOWN_DETAIL if detail.get(name))
