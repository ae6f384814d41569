"""What can be decided about accounts, as forms and what they carry out."""

import json
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin.models import DELETION
from django.contrib.admin.utils import label_for_field
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from accounts import administration, tokens, usage
from accounts.admin.decisions import Decision, LogReasonForm, ReasonForm, RefusedError, new_token
from accounts.administration import OwnLimits
from accounts.models import Account, Quota, User

_MOST_TEMPLATES = 1_000_000
_MOST_SECONDS = 100_000_000
_MOST_TASKS = 10_000
_GIGABYTE = 1_000_000_000
_MOST_GIGABYTES = 1_000_000


class GrantForm(ReasonForm):
    """How much more, in this month."""

    templates = forms.IntegerField(
        label=gettext_lazy("Templates"), min_value=0, max_value=_MOST_TEMPLATES, required=False
    )
    seconds = forms.IntegerField(
        label=gettext_lazy("Video seconds"), min_value=0, max_value=_MOST_SECONDS, required=False
    )
    # The same form sent twice grants once.
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput, initial=new_token)
    field_order = ("templates", "seconds", "reason", "token")

    def clean(self) -> dict[str, Any]:
        """Something at least."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and not (given.get("templates") or given.get("seconds")):
            raise forms.ValidationError(_("Say how many templates or seconds are granted."))
        return given


class LimitsForm(ReasonForm):
    """The account's own limits."""

    templates_per_month = forms.IntegerField(
        label=gettext_lazy("Templates a month"), min_value=0, max_value=_MOST_TEMPLATES, required=False
    )
    seconds_per_month = forms.IntegerField(
        label=gettext_lazy("Video seconds a month"), min_value=0, max_value=_MOST_SECONDS, required=False
    )
    storage_gigabytes = forms.DecimalField(
        label=gettext_lazy("Storage in GB (thousands of millions of bytes)"),
        min_value=0, max_value=_MOST_GIGABYTES, decimal_places=9, required=False,
    )  # fmt: skip
    tasks_at_once = forms.IntegerField(
        label=gettext_lazy("Tasks at once"), min_value=0, max_value=_MOST_TASKS, required=False
    )
    # What one account had when the form was shown.
    seen = forms.CharField(widget=forms.HiddenInput, required=False)
    field_order = ("templates_per_month", "seconds_per_month", "storage_gigabytes", "tasks_at_once", "reason", "seen")

    def __init__(self, *args: Any, rows: Any = (), **values: Any) -> None:
        """With what one account has; for several at once everything is set anew."""
        present = _present(rows[0]) if len(rows) == 1 else {}
        super().__init__(*args, rows=rows, initial={**present, "seen": json.dumps(present)}, **values)

    def clean(self) -> dict[str, Any]:
        """Not over what somebody else has set meanwhile: every field counts."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("seen") and len(self.rows) == 1 and given["seen"] != self.initial["seen"]:
            raise forms.ValidationError(_("Somebody else has set other limits meanwhile. Go back, and begin again."))
        return given


def _present(account: Account) -> dict[str, Any]:
    own = Quota.objects.filter(account=account).first() or Quota()
    stored = None if own.storage_bytes is None else (Decimal(own.storage_bytes) / _GIGABYTE).normalize()
    return {
        "templates_per_month": own.templates_per_month,
        "seconds_per_month": own.seconds_per_month,
        "storage_gigabytes": None if stored is None else format(stored, "f"),
        "tasks_at_once": own.tasks_at_once,
    }


def _grant(account: Account, by: User, given: dict[str, Any]) -> str:
    templates, seconds = given["templates"] or 0, given["seconds"] or 0
    reference = f"{given['token']}:{account.pk}"
    done = administration.grant(account, reference, templates=templates, seconds=seconds, by=by, reason=given["reason"])
    parts = []
    if templates:
        parts.append(ngettext("%(count)d template", "%(count)d templates", templates) % {"count": templates})
    if seconds:
        parts.append(ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds})
    told = _("Granted for this month: %(what)s.") % {"what": pgettext("between parts", ", ").join(parts)}
    return told if done else ""


def _set_limits(account: Account, by: User, given: dict[str, Any]) -> str:
    gigabytes = given["storage_gigabytes"]
    limits = OwnLimits(
        given["templates_per_month"],
        given["seconds_per_month"],
        None if gigabytes is None else int(gigabytes * _GIGABYTE),
        given["tasks_at_once"],
    )
    before = Quota.objects.filter(account=account).first() or Quota()
    if not administration.set_limits(account, limits, by=by, reason=given["reason"]):
        return ""
    changes = [
        _("%(what)s: %(before)s → %(after)s") % {
            "what": label_for_field(name, Quota),
            "before": _limit(getattr(before, name)),
            "after": _limit(getattr(limits, name)),
        }
        for name in vars(limits)
        if getattr(before, name) != getattr(limits, name)
    ]  # fmt: skip
    return _("Limits set. %(changes)s.") % {"changes": "; ".join(changes)}


def _limit(value: int | None) -> str:
    return _("the site's") if value is None else str(value)


def _suspend(account: Account, by: User, given: dict[str, Any]) -> str:
    return _("Suspended.") if administration.suspend(account, by=by, reason=given["reason"]) else ""


def _reactivate(account: Account, by: User, given: dict[str, Any]) -> str:
    return _("The suspension ended.") if administration.reactivate(account, by=by, reason=given["reason"]) else ""


def _revoke_tokens(account: Account, by: User, given: dict[str, Any]) -> str:
    count = tokens.revoke_all(account, by=by, reason=given["reason"])
    told = ngettext("%(count)d API token revoked.", "%(count)d API tokens revoked.", count) % {"count": count}
    return told if count else ""


def _delete(account: Account, _by: User, _given: dict[str, Any]) -> str:
    try:
        administration.delete_account(account)
    except administration.KeptError as problem:
        raise RefusedError(why_kept()) from problem
    return _("Deleted.")


def why_kept() -> str:
    """What to do instead of deleting."""
    return _(
        "This account has templates, clips or ledger entries, which are never deleted with it. "
        "Suspend it instead: its members can then look, and make nothing."
    )


def _recompute(account: Account, _by: User, _given: dict[str, Any]) -> str:
    found = usage.rebuild_account(account.pk)
    if not found:
        return ""
    told = ngettext(
        "Counters compared with the ledger: %(count)d was wrong and is mended: %(which)s",
        "Counters compared with the ledger: %(count)d were wrong and are mended: %(which)s",
        len(found),
    )
    which = [
        {"month": str(one.month or ""), "column": one.column, "was": one.counter, "is": one.entries} for one in found
    ]
    return told % {"count": len(found), "which": json.dumps(which)}


DECISIONS: dict[str, Decision] = {
    "grant": Decision(
        title=gettext_lazy("Grant templates or seconds"),
        about=gettext_lazy(
            "Room beyond the limit, for the present month only. A grant cannot be taken back; lower the limit instead."
        ),
        button=gettext_lazy("Grant"),
        carry_out=_grant,
        form=GrantForm,
    ),
    "set_limits": Decision(
        title=gettext_lazy("Set limits"),
        about=gettext_lazy(
            "Blank: the site's own limit. 0: none at all. Every field counts, for every account chosen. What is stored "
            "or under way stays, also above a new limit."
        ),
        button=gettext_lazy("Set"),
        carry_out=_set_limits,
        form=LimitsForm,
    ),
    "suspend": Decision(
        title=gettext_lazy("Suspend"),
        about=gettext_lazy(
            "Members can then look, play and copy, and make or change nothing. What Alibaba works on already ends as "
            "usual; what waits, waits on."
        ),
        button=gettext_lazy("Suspend"),
        carry_out=_suspend,
    ),
    "reactivate": Decision(
        title=gettext_lazy("End the suspension"),
        about=gettext_lazy("Members can make and change things again, and what waits goes on."),
        button=gettext_lazy("End the suspension"),
        carry_out=_reactivate,
    ),
    "recompute": Decision(
        title=gettext_lazy("Recompute usage from the ledger"),
        about=gettext_lazy("Counters become the sum of the ledger's entries again. The log names each that was wrong."),
        button=gettext_lazy("Recompute"),
        carry_out=_recompute,
        form=LogReasonForm,
    ),
    "revoke_tokens": Decision(
        title=gettext_lazy("Revoke API tokens"),
        about=gettext_lazy("All of the account's tokens open nothing any more, at once. New ones can be made."),
        button=gettext_lazy("Revoke"),
        carry_out=_revoke_tokens,
    ),
    "delete": Decision(
        title=gettext_lazy("Delete"),
        about=gettext_lazy(
            "For accounts that were made by mistake: memberships, invitations, tokens and history go with it. One that "
            "has ever made, stored or booked anything cannot be deleted, only suspended."
        ),
        button=gettext_lazy("Delete"),
        carry_out=_delete,
        flag=DELETION,
    ),
}
