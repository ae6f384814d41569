"""What a person decides about a template: retry, rename, delete, restore."""

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.ledger import OverLimitError
from accounts.models import User
from templategen.actions.errors import NotPossibleError, RefusedError
from templategen.actions.names import clean_name
from templategen.actions.queue import ring
from templategen.actions.quota import over_quota
from templategen.actions.undecided import FRESH, lost_race
from templategen.models import ActionTemplate, Event
from templategen.states import CLIP_CHANGED, DELETABLE, OVER_QUOTA, RETRYABLE, State

# Nothing in the trash begins anything that would be billed.
_KEPT: dict[str, Any] = {"deleted_at": None}


def retry(template: ActionTemplate, *, by: User | None) -> None:
    """A new attempt with the same clip, or a new check where the check could not be done.

    Raises NotPossibleError, and QuotaError where the account may not make another one; then it stays as it is.
    """
    if template.state not in RETRYABLE:
        raise NotPossibleError(
            "retry.state", _("It cannot be tried again in its present state. Reload the page to see what it is.")
        )
    if template.clip.stored_at is None:
        raise NotPossibleError("retry.no_clip", _("Its video was never stored. Upload it again."))
    if template.error_code == CLIP_CHANGED:
        raise NotPossibleError(
            "retry.changed", _("The stored video is not the one that was checked, so it is not sent. Upload it again.")
        )
    blocked = template.state == State.BLOCKED and template.error_code != OVER_QUOTA
    if blocked or not template.clip.passed:
        # Also one that was canceled before its check was done.
        _check_again(template, by=by)
        return
    now = timezone.now()
    try:
        won = template.move(
            State.QUEUED,
            by=by,
            guard=_KEPT,
            **FRESH,
            attempt=template.attempt + 1,
            queued_at=now,
            next_look_at=now,
        )
    except OverLimitError as problem:
        raise over_quota(problem) from problem
    if not won:
        raise lost_race()


def _check_again(template: ActionTemplate, *, by: User | None) -> None:
    if template.error_code == "limits":
        raise NotPossibleError(
            "retry.limits", _("The video itself breaks a limit; trying again would end the same. Upload a mended one.")
        )
    with transaction.atomic():
        # Of an attempt that has ended nothing is held again (ledger.hold): a check that passes holds for a new one.
        again: dict[str, Any] = {"attempt": template.attempt + 1, "next_look_at": timezone.now()}
        if not template.move(State.CHECKING, by=by, guard=_KEPT, **FRESH, **again):
            raise lost_race()
        ring("check", template_pk=template.pk)


def rename(template: ActionTemplate, *, name: str, by: User | None) -> None:
    """Give it another name. Raises RefusedError for an empty one."""
    name = clean_name(name)
    if not name:
        raise RefusedError("name.empty", _("A name needs at least one visible character."))
    if name == template.name:
        return
    old, template.name = template.name, name
    with transaction.atomic():
        ActionTemplate.objects.filter(pk=template.pk).update(name=name, version=F("version") + 1)
        template.index_words()
        Event.objects.create(
            template=template,
            kind=Event.Kind.RENAMED,
            by=by,
            attempt=template.attempt,
            detail={"old": old, "new": name},
        )


def delete(template: ActionTemplate, *, by: User | None) -> None:
    """Put it into the trash; the sweep removes it and its video after TRASH_DAYS. Raises NotPossibleError.

    The template at Alibaba stays: there is no call to delete one (alibaba.md 8).
    """
    now = timezone.now()
    with transaction.atomic():
        gone = ActionTemplate.objects.filter(pk=template.pk, state__in=DELETABLE, deleted_at=None).update(
            deleted_at=now, version=F("version") + 1
        )
        if gone:
            Event.objects.create(template=template, kind=Event.Kind.DELETED, by=by, attempt=template.attempt)
    if not gone:
        raise NotPossibleError(
            "delete.busy", _("It is still at work, and its ID would be lost. Cancel it or wait for the result.")
        )
    template.deleted_at = now


def restore(template: ActionTemplate, *, by: User | None) -> None:
    """Take it out of the trash. Raises NotPossibleError for an upload that was never finished."""
    if template.clip.stored_at is None:
        raise NotPossibleError("restore.no_clip", _("Its video was never stored. Upload it again."))
    with transaction.atomic():
        back = ActionTemplate.objects.filter(pk=template.pk).exclude(deleted_at=None)
        if back.update(deleted_at=None, version=F("version") + 1):
            Event.objects.create(template=template, kind=Event.Kind.RESTORED, by=by, attempt=template.attempt)
    template.deleted_at = None
