"""Users: people, known by e-mail address; and groups, which give them rights."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import administration
from accounts.admin.base import Quick, staff_of
from accounts.admin.decisions import Decision, RefusedError, decide
from accounts.admin.reasons import FIELD, Accounts, NewAccounts, Reasoned, WithReason, reason_field
from accounts.admin.rights import OffersRights
from accounts.members import MembersError
from accounts.models import Account, User
from accounts.pages.members import words_for

if TYPE_CHECKING:  # Django's own classes take no type arguments when the program runs.
    UserPages = DjangoUserAdmin[User]
    CreationForm = AdminUserCreationForm[User]
    ChangeForm = UserChangeForm[User]
    SetPassword = AdminPasswordChangeForm[User]
else:
    UserPages, CreationForm, ChangeForm = DjangoUserAdmin, AdminUserCreationForm, UserChangeForm
    SetPassword = AdminPasswordChangeForm

# What lets somebody do more than the one who gives it: only superusers do.
_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


_PASSWORD_OR_NOT = gettext_lazy(
    "Without a password they cannot sign in until they set one by the link that “Forgotten your password?” mails."
)


class UserCreationForm(CreationForm):
    """By e-mail address, and why: a new user is let into accounts at once."""

    reason = reason_field()

    def __init__(self, *args: Any, **values: Any) -> None:
        """Django's text speaks of other ways to sign in, and there are none here."""
        super().__init__(*args, **values)
        self.fields["usable_password"].help_text = _PASSWORD_OR_NOT

    class Meta:
        model = User
        fields = ["email"]


class UserForm(WithReason, ChangeForm):
    """With the reason for what is changed."""

    class Meta:
        model = User
        fields = "__all__"


class PasswordForm(SetPassword):
    """A new password for somebody, and why."""

    reason = reason_field()

    def __init__(self, *args: Any, **values: Any) -> None:
        """As for a new user."""
        super().__init__(*args, **values)
        if "usable_password" in self.fields:
            self.fields["usable_password"].help_text = _PASSWORD_OR_NOT


def not_for_you(user: User, by: User) -> str:
    """Why this is not for ``by`` to do to that user; empty where it is.

    Whoever sets the password or address of somebody who administers the site can do what that one can.
    """
    if by.is_superuser or not (user.is_staff or user.is_superuser):
        return ""
    return _("Only a superuser does this to somebody who administers the site.")


def _delete(user: User, by: User, given: dict[str, Any]) -> str:
    if user.pk == by.pk:
        raise RefusedError(_("Nobody deletes themselves here. Another administrator can."))
    if not_for_you(user, by):
        raise RefusedError(not_for_you(user, by))
    if LogEntry.objects.filter(user=user).exists():
        # Django would delete them with the user.
        raise RefusedError(
            _("The administration's log has what they did here, and keeps it. Take away “Active” and “Staff” instead.")
        )
    try:
        administration.delete_user(user, by=by, reason=given["reason"])
    except MembersError as problem:
        raise RefusedError(words_for(problem)) from problem
    return _("Deleted.")


DELETE = Decision(
    title=gettext_lazy("Delete"),
    about=gettext_lazy(
        "They leave every account first, which its history says. What they made stays the accounts'. To keep somebody "
        "out for a while, take away “Active” on their page instead."
    ),
    button=gettext_lazy("Delete"),
    carry_out=_delete,
    flag=DELETION,
)


@admin.register(User)
class UserAdmin(OffersRights, Reasoned, Quick, UserPages):
    """Users, and the accounts that they are in."""

    form = UserForm
    add_form = UserCreationForm
    change_password_form = PasswordForm
    change_user_password_template = "admin/accounts/user/change_password.html"  # noqa: S105 -- a page
    ordering = ["email"]
    list_display = ["email", "first_name", "last_name", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "first_name", "last_name"]
    fieldsets = [
        (None, {"fields": ["email", "password"]}),
        (gettext_lazy("Name"), {"fields": ["first_name", "last_name"]}),
        (gettext_lazy("Rights"), {"fields": ["is_active", *_RIGHTS]}),
        (gettext_lazy("Dates"), {"fields": ["last_login", "date_joined"]}),
        (gettext_lazy("Why it is changed"), {"fields": [FIELD]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["email", "usable_password", "password1", "password2", FIELD]})
    ]
    actions = ["delete"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Others who administer the site only by superusers: a password is as much as the rights."""
        may = super().has_change_permission(request, obj)
        return may and (obj is None or obj.pk == request.user.pk or not not_for_you(obj, staff_of(request)))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 -- Django's
        """Password and log together, or neither."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not by Django's own pages, which ask for no reason and know nothing of last owners."""
        return False

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Who may decide that users go."""
        return request.user.has_perm("accounts.delete_user")

    @admin.action(description=DELETE.title, permissions=["remove"])
    def delete(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """With a reason."""
        return decide(self, request, queryset, DELETE, action="delete")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        """Says so where an account is left without an owner who can sign in."""
        super().save_related(request, form, formsets, change)
        for account in administration.without_owner(Account.objects.filter(memberships__user=form.instance)):
            text = _("“%(account)s” has no owner who can sign in.") % {"account": account.name}
            self.message_user(request, text, messages.WARNING)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new user is in no account yet."""
        return [Accounts, NewAccounts] if obj else [NewAccounts]

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> Any:
        """Django's own page for a new user has none; ours lets them into an account at once."""
        return admin.ModelAdmin.get_inline_instances(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by superusers; dates by nobody."""
        rights = () if staff_of(request).is_superuser else _RIGHTS
        return ["last_login", "date_joined", *rights] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A reason only where something can be changed."""
        found = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return found
        return [part for part in found if FIELD not in part[1]["fields"]]
