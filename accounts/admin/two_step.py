"""Who has two-step sign-in on. Staff turns it off for who has lost phone and codes, and does nothing else to it.

django-otp's own pages would let staff give anybody a phone with a secret that they know, and find out a secret that is
there letter by letter, by filtering.
"""

from typing import Any

import django_otp.plugins.otp_totp.admin  # noqa: F401 -- registers its pages, which are taken away below
from django.contrib import admin
from django.contrib.admin.models import CHANGE
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import sessions, two_step
from accounts.admin.base import LookOnly, log, with_reason
from accounts.admin.decisions import Decision, RefusedError, decide
from accounts.admin.users import not_for_you
from accounts.models import User


def _turn_off(device: TOTPDevice, by: User, given: dict[str, Any]) -> str:
    user: User = device.user
    if not_for_you(user, by):
        raise RefusedError(not_for_you(user, by))
    if not two_step.turn_off(user):
        return ""
    sessions.end_all(user)
    done = _("Two-step sign-in is off.")
    # In the log of the person too: the phone's own row is gone.
    log(by, user, with_reason(done, given["reason"]), flag=CHANGE)
    return done


TURN_OFF = Decision(
    title=gettext_lazy("Turn it off"),
    about=gettext_lazy(
        "For who has lost phone and recovery codes: be sure that it is they who ask. They are signed out everywhere, "
        "and then sign in with their password alone, until they turn it on again."
    ),
    button=gettext_lazy("Turn it off"),
    carry_out=_turn_off,
)

admin.site.unregister(TOTPDevice)


@admin.register(TOTPDevice)
class PhoneAdmin(LookOnly):
    """Phones, known by whose they are. The secret in them is shown to nobody."""

    fields = ("user", "confirmed", "created_at", "last_used_at")
    list_display = fields
    list_filter = ["confirmed"]
    list_select_related = ["user"]
    ordering = ["-pk"]
    search_fields = ["user__email__exact"]
    search_help_text = gettext_lazy("A whole e-mail address")
    actions = ["turn_off"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Nothing can be changed by anybody; who may delete phones may turn it off."""
        return request.user.has_perm("otp_totp.delete_totpdevice")

    @admin.action(description=TURN_OFF.title, permissions=["decide"])
    def turn_off(self, request: HttpRequest, queryset: QuerySet[TOTPDevice]) -> HttpResponse | None:
        """With a reason."""
        return decide(self, request, queryset.select_related("user"), TURN_OFF, action="turn_off")
