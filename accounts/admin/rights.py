"""The rights that groups and users can be given: those that open something, in words.

Django makes four for every model; most would be of no effect, for nobody changes a ledger or adds a recovery code.
"""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

if TYPE_CHECKING:
    Choices = forms.ModelMultipleChoiceField[Permission]
else:
    Choices = forms.ModelMultipleChoiceField

# Besides looking at what has pages here: what staff may do and decide, as the pages ask for it.
DOING = frozenset({
    "accounts.add_account", "accounts.change_account", "accounts.delete_account",
    "accounts.add_user", "accounts.change_user", "accounts.delete_user",
    "accounts.view_membership", "accounts.add_membership", "accounts.change_membership", "accounts.delete_membership",
    "accounts.change_invitation", "accounts.change_apitoken", "accounts.change_credential",
    "axes.delete_accessattempt", "otp_totp.delete_totpdevice",
    "templategen.change_actiontemplate", "templategen.change_credentialstatus",
    "templategen.view_event", "templategen.view_formertask",
})  # fmt: skip


def offered() -> QuerySet[Permission]:
    """Those that open something."""
    looking = {f"{model._meta.app_label}.view_{model._meta.model_name}" for model in admin.site._registry}  # noqa: SLF001 -- Django's own pages read it too
    found = Q(pk=None)
    for right in looking | DOING:
        app, _dot, codename = right.partition(".")
        found |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.filter(found).select_related("content_type").order_by("content_type", "codename")


def in_words(right: Permission) -> str:
    """As in "Template: look at"; in Django's own words where the model is gone."""
    action = right.codename.partition("_")[0]
    words = {
        "view": pgettext("a right", "look at"),
        "add": pgettext("a right", "add"),
        "change": pgettext("a right", "change and decide"),
        "delete": pgettext("a right", "remove"),
    }
    model = right.content_type.model_class()
    if model is None or action not in words:
        return right.name
    what = capfirst(str(model._meta.verbose_name))  # noqa: SLF001 -- Django documents it
    return _("%(what)s: %(right)s") % {"what": what, "right": words[action]}


class Rights(Choices):
    """Their choice."""

    def label_from_instance(self, obj: Permission) -> str:
        """In the reader's words."""
        return in_words(obj)


class OffersRights:
    """For pages of what has rights."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **values: Any) -> Any:
        """Only those that open something, in words."""
        if db_field.remote_field.model is Permission:
            values |= {"form_class": Rights, "queryset": offered()}
        return super().formfield_for_manytomany(db_field, request, **values)  # type: ignore[misc]  # an admin's
