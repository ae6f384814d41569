"""Users, accounts and who belongs to which, for the site's administrator."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Membership, User

if TYPE_CHECKING:  # Django's own classes take no type arguments when the program runs.
    Inline = admin.TabularInline[Membership, Any]
    UserPages = DjangoUserAdmin[User]
    AccountPages = admin.ModelAdmin[Account]
    CreationForm = AdminUserCreationForm[User]
else:
    Inline, UserPages, AccountPages = admin.TabularInline, DjangoUserAdmin, admin.ModelAdmin
    CreationForm = AdminUserCreationForm


class MembershipInline(Inline):
    """Memberships, on the page of the user or the account."""

    model = Membership
    extra = 0
    # Not shown before it is enforced (docs/decisions/accounts-place.md).
    exclude = ["role"]
    autocomplete_fields = ["user", "account"]


class UserCreationForm(CreationForm):
    """By e-mail address."""

    class Meta:
        model = User
        fields = ["email"]


@admin.register(User)
class UserAdmin(UserPages):
    """Users, known by e-mail address."""

    add_form = UserCreationForm
    ordering = ["email"]
    list_display = ["email", "first_name", "last_name", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "first_name", "last_name"]
    fieldsets = [
        (None, {"fields": ["email", "password"]}),
        (_("Name"), {"fields": ["first_name", "last_name"]}),
        (_("Rights"), {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["email", "usable_password", "password1", "password2"]})]
    inlines = [MembershipInline]
    show_full_result_count = False


@admin.register(Account)
class AccountAdmin(AccountPages):
    """Accounts and their members."""

    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [MembershipInline]
    show_full_result_count = False
