"""Decisions about rows that want a reason: from the list's menu or a row's page to a form, and from there done.

What is done and why goes into the admin's own log; who carries it out writes the account's history.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin.base import LONGEST_REASON, Pages, log, staff_of, with_reason
from accounts.models import User

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

# A person waits for the page.
MOST_AT_ONCE = 100
_DECIDED = "decided"
IN_THE_LOG = gettext_lazy("Stands in the administration's log.")


class RefusedError(Exception):
    """It cannot be done; the text says why and what to do. Nothing has changed."""


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=LONGEST_REASON,
        help_text=gettext_lazy(
            "Stands in the administration's log, and in the history that the account's owners read."
        ),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, rows: Sequence[Any] = (), **values: Any) -> None:
        """``rows`` are what is decided about, for what a form shows of them."""
        super().__init__(*args, **values)
        self.rows = rows


class LogReasonForm(ReasonForm):
    """Why, where no account's history has it."""

    def __init__(self, *args: Any, **values: Any) -> None:
        """Says where the reason stands."""
        super().__init__(*args, **values)
        self.fields["reason"].help_text = IN_THE_LOG


# What was done, in a sentence; nothing where it was so already. Raises RefusedError.
CarryOut = Callable[[Any, User, dict[str, Any]], str]


@dataclass(frozen=True)
class Decision:
    """One thing that can be decided about rows."""

    title: "str | _StrPromise"
    about: "str | _StrPromise"
    button: "str | _StrPromise"
    carry_out: CarryOut
    form: type[ReasonForm] = field(default=ReasonForm)
    flag: int = CHANGE
    # What a row is called, where its package has no words for it.
    named: Callable[[Any], str] = str


def decide(
    pages: Pages, request: HttpRequest, rows: QuerySet[Any], decision: Decision, *, action: str
) -> HttpResponse | None:
    """The form, or what follows it: for an action of ``pages`` with that name. Nothing for too many rows."""
    chosen = some_of(pages, request, rows)
    if chosen is None:
        return None
    if not chosen:
        pages.message_user(request, _("Nothing was done: what was chosen is gone meanwhile."), messages.ERROR)
        return redirect(_list_of(pages))
    form = decision.form(request.POST if _DECIDED in request.POST else None, rows=chosen)
    if form.is_bound and form.is_valid():
        _carry_out(pages, request, chosen, decision, form.cleaned_data)
        return redirect(_back(pages, request, decision))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": decision.title,
        "decision": decision,
        "form": form,
        "rows": [(row.pk, decision.named(row)) for row in chosen],
        "opts": pages.opts,
        "media": pages.media + form.media,
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "next": _back(pages, request, decision),
    }
    return TemplateResponse(request, "admin/decide.html", context)


def some_of(pages: Pages, request: HttpRequest, rows: QuerySet[Any], most: int = MOST_AT_ONCE) -> list[Any] | None:
    """The rows that were chosen; for more than ``most`` a message instead, and nothing."""
    chosen = list(rows.order_by("pk")[: most + 1])
    if len(chosen) <= most:
        return chosen
    text = _("At most %(limit)d at once. Nothing was done; choose fewer.") % {"limit": most}
    pages.message_user(request, text, messages.ERROR)
    return None


def _carry_out(
    pages: Pages, request: HttpRequest, rows: Sequence[Any], decision: Decision, given: dict[str, Any]
) -> None:
    by, done = staff_of(request), 0
    for row in rows:
        name, pk = decision.named(row), row.pk
        try:
            with transaction.atomic():
                told = decision.carry_out(row, by, given)
                if told:
                    # A deleted row has lost its number; the log wants to name it all the same.
                    row.pk = pk
                    log(by, row, with_reason(told, given["reason"]), flag=decision.flag, named=name)
        except RefusedError as problem:
            pages.message_user(request, _("“%(name)s”: %(text)s") % {"name": name, "text": problem}, messages.ERROR)
            continue
        done += bool(told)
        if not told:
            text = _("“%(name)s”: nothing to change, it is so already.") % {"name": name}
            pages.message_user(request, text, messages.WARNING)
    if done:
        text = ngettext("“%(title)s” is done.", "“%(title)s” is done for %(count)d.", done)
        pages.message_user(request, text % {"title": decision.title, "count": done}, messages.SUCCESS)


def _back(pages: Pages, request: HttpRequest, decision: Decision) -> str:
    """The row's page where it came from there, else the list."""
    page = request.POST.get("next", "")
    safe = page.startswith(reverse("admin:index")) and url_has_allowed_host_and_scheme(page, allowed_hosts=None)
    if safe and decision.flag != DELETION:
        return page
    return _list_of(pages)


def _list_of(pages: Pages) -> str:
    return reverse(f"admin:{pages.opts.app_label}_{pages.opts.model_name}_changelist")


def new_token() -> str:
    """For a form that must not be carried out twice."""
    return uuid.uuid4().hex
