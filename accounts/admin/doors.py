"""Groups of rights and counted passwords: other packages' rows, by our rules.

Their own pages would let staff hand out rights or end a lock, and say nothing of why.
"""

from typing import Any

import axes.admin  # noqa: F401 -- registers its pages, which are taken away below
import django.contrib.auth.admin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import DELETION
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.base import LookOnly, Quick, staff_of
from accounts.admin.decisions import Decision, LogReasonForm, decide
from accounts.admin.reasons import FIELD, Reasoned, WithReason
from accounts.admin.rights import OffersRights
from accounts.models import User

for _model in (AccessAttempt, AccessFailureLog, AccessLog, Group):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class GroupForm(WithReason):
    """With the reason for what is changed."""

    class Meta:
        model = Group
        fields = ("name", "permissions")


def _delete_group(group: Group, _by: User, _given: dict[str, Any]) -> str:
    group.delete()
    return _("Deleted.")


DELETE_GROUP = Decision(
    title=gettext_lazy("Delete"),
    about=gettext_lazy("Whoever is in the group loses the rights that it gives."),
    button=gettext_lazy("Delete"),
    carry_out=_delete_group,
    form=LogReasonForm,
    flag=DELETION,
)


@admin.register(Group)
class GroupAdmin(OffersRights, Reasoned, Quick, django.contrib.auth.admin.GroupAdmin):
    """Groups give rights, so that only superusers change them."""

    form = GroupForm
    fields = ("name", "permissions", FIELD)
    actions = ["delete"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers only."""
        return staff_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return staff_of(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not by Django's own pages, which ask for no reason."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A reason only where something can be changed."""
        return self.fields if self.has_change_permission(request, obj) else ("name", "permissions")

    @admin.action(description=DELETE_GROUP.title, permissions=["change"])
    def delete(self, request: HttpRequest, queryset: QuerySet[Group]) -> HttpResponse | None:
        """With a reason."""
        return decide(self, request, queryset, DELETE_GROUP, action="delete")


def _end_lock(attempt: AccessAttempt, _by: User, _given: dict[str, Any]) -> str:
    attempt.delete()
    return _("Counted anew.")


END_LOCK = Decision(
    title=gettext_lazy("Count anew, which ends a lock"),
    about=gettext_lazy("What was counted for this address and user is forgotten: they may try again at once."),
    button=gettext_lazy("Count anew"),
    carry_out=_end_lock,
    form=LogReasonForm,
    flag=DELETION,
    named=lambda attempt: f"{attempt.username}, {attempt.ip_address}",
)


@admin.register(AccessAttempt)
class AttemptAdmin(LookOnly):
    """Wrong passwords as they are counted. What else was sent with them is shown to nobody."""

    fields = ("attempt_time", "username", "ip_address", "user_agent", "failures_since_start")
    list_display = fields
    # The list has everything, and the row's own page would be named by the package, in English.
    list_display_links = None
    ordering = ["-pk"]
    search_fields = ["username__exact", "ip_address__exact"]
    search_help_text = gettext_lazy("A user's whole e-mail address, or a whole IP address")
    actions = ["end"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may delete what was counted may end locks."""
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.action(description=END_LOCK.title, permissions=["decide"])
    def end(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> HttpResponse | None:
        """With a reason."""
        return decide(self, request, queryset, END_LOCK, action="end")
