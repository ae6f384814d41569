"""The states of a template and the table of moves between them. docs/states.md draws it."""

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    """Where a template is on its way from upload to template ID. The labels are what people read on the pages."""

    UPLOADING = "uploading", _("Uploading")
    CHECKING = "checking", _("Checking")
    BLOCKED = "blocked", _("Blocked")
    QUEUED = "queued", _("Waiting")
    SUBMITTING = "submitting", _("Submitting")
    UNCONFIRMED = "unconfirmed", _("Unconfirmed")
    PENDING = "pending", _("In line at Alibaba")
    RUNNING = "running", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    LOST = "lost", _("Lost")
    CANCELED = "canceled", _("Canceled")


# Every legal move. A move is compare-and-set (models.ActionTemplate.move) and leaves an Event.
MOVES: dict[State, frozenset[State]] = {
    State.UPLOADING: frozenset({State.CHECKING, State.CANCELED}),
    State.CHECKING: frozenset({State.QUEUED, State.BLOCKED, State.CANCELED}),
    # To QUEUED when what blocked has passed (quota); to CHECKING when a check that could not be done is asked again.
    State.BLOCKED: frozenset({State.QUEUED, State.CHECKING, State.CANCELED}),
    State.QUEUED: frozenset({State.SUBMITTING, State.CANCELED}),
    # To QUEUED: provably never sent, or refused for a passing cause. To CANCELED: the same, and somebody wants it so.
    State.SUBMITTING: frozenset({State.PENDING, State.QUEUED, State.FAILED, State.UNCONFIRMED, State.CANCELED}),
    # To PENDING: found in the task list, or the answer came late. To QUEUED: proved absent, refused late, or a
    # person's decision. To FAILED: refused late. To CANCELED: as to QUEUED, and somebody wants it so.
    State.UNCONFIRMED: frozenset({State.PENDING, State.QUEUED, State.FAILED, State.CANCELED}),
    State.PENDING: frozenset({State.RUNNING, State.READY, State.FAILED, State.LOST, State.CANCELED}),
    State.RUNNING: frozenset({State.READY, State.FAILED, State.LOST, State.CANCELED}),
    State.READY: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    # Looked at for as long as the service may still have it: its ID exists nowhere else.
    State.LOST: frozenset({State.QUEUED, State.RUNNING, State.READY, State.FAILED, State.CANCELED}),
    # To CHECKING where it was canceled before its check was done.
    State.CANCELED: frozenset({State.QUEUED, State.CHECKING}),
}

# Nothing happens to these by itself: the page need not ask about them again.
SETTLED = frozenset({State.BLOCKED, State.READY, State.FAILED, State.LOST, State.CANCELED})
# A task may exist at Alibaba: the credential's slot is taken.
AT_SERVICE = frozenset({State.SUBMITTING, State.UNCONFIRMED, State.PENDING, State.RUNNING})
# A task is known to exist: the conductor looks at it.
WATCHED = frozenset({State.PENDING, State.RUNNING})
# Looked at too, seldom, while the service may still have the result: WATCHED says what holds a slot.
LOOKED_AT = WATCHED | {State.LOST}
# A person may try again without a new upload (a new attempt).
RETRYABLE = frozenset({State.BLOCKED, State.FAILED, State.LOST, State.CANCELED})
# A person may stop it: nothing runs yet. Where a call is under way the wish is remembered (actions/cancel.py).
CANCELABLE = frozenset(
    {State.UPLOADING, State.CHECKING, State.QUEUED, State.SUBMITTING, State.UNCONFIRMED, State.PENDING}
)
# A person may delete it: no task is under way whose ID could be lost.
DELETABLE = frozenset({State.BLOCKED, State.READY, State.FAILED, State.LOST, State.CANCELED})
# An answer that never came: a person may decide, once the machine has given up looking for it.
UNDECIDED = frozenset({State.UNCONFIRMED})
# What ``error_code`` of such a row then says.
FOR_A_PERSON = "unconfirmed.person"
# ``error_code`` of a BLOCKED row that passed its check and found the account's quota used up.
OVER_QUOTA = "quota"
# ``error_code`` of a FAILED row whose stored object is not the one that was checked: never sent, whoever asks.
CLIP_CHANGED = "clip.changed"

# ``error_code`` of a LOST row whose task nobody could read until it was too late, as a person decided.
UNREADABLE = "unreadable"

# A template and its seconds are held for it (accounts/ledger.py).
HOLDING = frozenset({State.QUEUED, State.SUBMITTING, State.UNCONFIRMED, State.PENDING, State.RUNNING})


class Booking(StrEnum):
    """What a move does to the account's quota, in the move's own transaction."""

    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    SETTLE_BYTES = "settle bytes"
    RELEASE_BYTES = "release bytes"


def booking_of(start: State, to: State) -> Booking | None:
    """The one table of quota: what the move books; None where nothing changes.

    A lost one was released; where the service knows it again nothing is held anew, and READY settles all the same.
    """
    if start == State.UPLOADING:
        return Booking.SETTLE_BYTES if to == State.CHECKING else Booking.RELEASE_BYTES
    if to == State.READY:
        return Booking.SETTLE
    if to == State.QUEUED and start not in HOLDING:
        return Booking.HOLD
    if start in HOLDING and to not in HOLDING:
        return Booking.RELEASE
    return None


class IllegalMoveError(Exception):
    """A move that the table does not have: a bug, never a user's doing."""


def require_legal(start: State, to: State) -> None:
    """Raise IllegalMoveError unless the table has the move."""
    if to not in MOVES[start]:
        raise IllegalMoveError(f"{start} -> {to}")
