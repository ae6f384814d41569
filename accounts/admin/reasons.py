"""Plain change forms that ask why, and memberships on them: saved by members.py, undone as a whole if it refuses."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from accounts import members
from accounts.admin.base import LONGEST_REASON, Inline, Pages, staff_of, with_reason
from accounts.members import MembersError
from accounts.models import Membership, Role
from accounts.pages.members import words_for

if TYPE_CHECKING:
    RowForm = forms.ModelForm[Any]
else:
    RowForm = forms.ModelForm

FIELD = "reason"


def reason_field() -> forms.CharField:
    """Why something is changed."""
    return forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        help_text=_("Stands in the administration's log, and in the history that the account's owners read."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )


class WithReason(RowForm):
    """Why something is changed."""

    reason = reason_field()


class _Of(Inline):
    model = Membership
    extra = 0

    def get_queryset(self, request: HttpRequest) -> Any:
        """With what its rows show."""
        return super().get_queryset(request).select_related("user", "account")


class Members(_Of):
    """Who is in: a role can be changed, a member removed."""

    fields = ("user", "role", "created_at")
    readonly_fields = ("user", "created_at")
    verbose_name_plural = _("members")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Below."""
        return False


class Accounts(_Of):
    """The accounts that a user is in."""

    fields = ("account", "role", "created_at")
    readonly_fields = ("account", "created_at")
    verbose_name_plural = _("accounts")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Below."""
        return False


class NewMemberForm(RowForm):
    """A row that somebody has opened wants to be filled in, or to be taken away: else it would go in silence."""

    def has_changed(self) -> bool:
        """Also where nothing but the proposed role was sent."""
        sent = self.is_bound and not self.instance.pk and self.add_prefix("role") in self.data
        return sent or super().has_changed()


class _New(_Of):
    """Apart from those that are there, whose user and account stay what they are."""

    form = NewMemberForm

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only adds."""
        return False

    has_change_permission = has_view_permission
    has_delete_permission = has_view_permission


class NewMembers(_New):
    """Users to let in."""

    verbose_name = _("new member")
    verbose_name_plural = _("new members")
    fields = ("user", "role")
    autocomplete_fields = ["user"]


class NewAccounts(_New):
    """Accounts to let a user into."""

    verbose_name = _("new membership")
    verbose_name_plural = _("new memberships")
    fields = ("account", "role")
    autocomplete_fields = ["account"]


class Reasoned(Pages):
    """A change form whose reason stands in the log, and whose memberships are changed by their one writer."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Refused, nothing of the form is saved."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except MembersError as problem:
            text = _("Nothing was saved. %(text)s") % {"text": words_for(problem)}
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        """New members first: who leaves may leave the account to one of them."""
        formsets.sort(key=lambda formset: formset.initial_form_count() > 0)
        super().save_related(request, form, formsets, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        """Raises MembersError."""
        if formset.model is not Membership:
            super().save_formset(request, form, formset, change)
            return
        formset.save(commit=False)
        about: dict[str, Any] = {"by": staff_of(request), "reason": form.cleaned_data.get(FIELD, "")}
        for new in _owners_first(formset.new_objects):
            members.add(new.account, new.user, Role(new.role), **about)
        for changed in _owners_first(row for row, _fields in formset.changed_objects):
            members.change_role(changed, Role(changed.role), **about)
        for gone in formset.deleted_objects:
            members.remove(gone, **about)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:  # noqa: FBT001, FBT002 -- Django's
        """What was changed, in words, and why."""
        if FIELD in form.changed_data:
            form.changed_data = [name for name in form.changed_data if name != FIELD]
        message = super().construct_change_message(request, form, formsets, add)
        reason = form.cleaned_data.get(FIELD, "")
        if not reason:
            return message
        told = LogEntry(change_message=json.dumps(message)).get_change_message()
        return with_reason(told, reason)


def _owners_first(memberships: Iterable[Membership]) -> list[Membership]:
    return sorted(memberships, key=lambda membership: membership.role != Role.OWNER)
