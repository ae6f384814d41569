"""What staff decide about a template or a credential: one call of an action, an answer, an entry in the log."""

from collections.abc import Callable, Mapping

from django.contrib.admin.models import CHANGE
from django.utils.translation import gettext as _

from accounts.admin.base import log, with_reason
from accounts.models import User
from templategen import actions, credential_status
from templategen.admin.stuck import choices_of
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus


class NotSureError(Exception):
    """It may be paid for twice, and nobody said that this is known."""


class NoReasonError(Exception):
    """A change without a word of why: it would stand in the log without one."""


Decision = Callable[[ActionTemplate, User, Mapping[str, str]], str]


def decide(template: ActionTemplate, *, do: str, by: User, said: Mapping[str, str]) -> str:
    """Carry out the decision named ``do``; a sentence that says what was done.

    ``said`` is the form: ``task_id`` for adopt, ``sure`` where it may be paid for twice, ``why``.
    Raises KeyError for another name, NoReasonError, NotSureError, actions.ActionError.
    """
    decision = DECISIONS[do]
    why = require_reason(do, said.get("why", ""))
    if do in _PAID and choices_of(template).may_bill_twice and not said.get("sure"):
        raise NotSureError
    text = decision(template, by, said)
    log(by, template, with_reason(text, why), flag=CHANGE)
    return text


def require_reason(do: str, why: str) -> str:
    """The reason as the log keeps it. Raises NoReasonError where something is changed and nobody says why.

    To look again changes nothing. A NUL would be refused by PostgreSQL once everything is done, and nothing be logged.
    """
    why = why.replace("\0", "").strip()
    if do != "look" and not why:
        raise NoReasonError
    return why


def resume(key: str, *, by: User, why: str = "") -> str:
    """The credential's line goes on at once; a sentence that says so.

    Raises CredentialStatus.DoesNotExist, NoReasonError.
    """
    why = require_reason("resume", why)
    status = CredentialStatus.objects.get(key=key)
    credential_status.resume(None if key == credential_status.SITE else int(key))
    text = _("Resumed.")
    log(by, status, with_reason(text, why), flag=CHANGE)
    return text


def _retry(template: ActionTemplate, by: User, _said: Mapping[str, str]) -> str:
    actions.retry(template, by=by)
    return _("Tried again.")


def _look(template: ActionTemplate, by: User, _said: Mapping[str, str]) -> str:
    actions.look_again(template, by=by)
    return _("It is looked at again.")


def _cancel(template: ActionTemplate, by: User, _said: Mapping[str, str]) -> str:
    if actions.cancel(template, by=by):
        return _("Canceled.")
    return _("It is canceled as soon as it is known what became of the call that is under way.")


def _adopt(template: ActionTemplate, by: User, said: Mapping[str, str]) -> str:
    task_id = said.get("task_id", "").strip() or said.get("other_task_id", "").strip()
    actions.adopt(template, task_id=task_id, by=by, for_the_site=True)
    return _("Task %(task_id)s is taken for it.") % {"task_id": task_id}


def _resubmit(template: ActionTemplate, by: User, _said: Mapping[str, str]) -> str:
    actions.resubmit(template, by=by)
    return _("Sent again: it may be paid for twice.")


def _call_lost(template: ActionTemplate, by: User, _said: Mapping[str, str]) -> str:
    actions.call_lost(template, by=by)
    return _("It counts as lost. What was held for it is free again.")


DECISIONS: dict[str, Decision] = {
    "retry": _retry,
    "look": _look,
    "cancel": _cancel,
    "adopt": _adopt,
    "resubmit": _resubmit,
    "call_lost": _call_lost,
}
_PAID = frozenset({"retry", "resubmit"})
