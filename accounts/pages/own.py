"""The page about oneself: who am I, in which accounts, with which role; leaving one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts import members
from accounts.access import account_for, membership_for
from accounts.members import MembersError
from accounts.pages.members import words_for
from accounts.pages.person import person
from accounts.permissions import Permission


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Who am I, and which accounts am I in."""
    memberships = person(request).memberships.select_related("account").order_by("account__name", "pk")
    return render(request, "accounts/account.html", {"memberships": memberships})


@require_http_methods(["GET", "POST"])
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """GET asks; POST leaves the account. What one made stays there. The last owner cannot."""
    account = account_for(request, slug, Permission.LOOK)
    if request.method == "GET":
        return render(request, "accounts/leave.html", {"account": account})
    membership = membership_for(request.user, slug)
    try:
        members.remove(membership, by=person(request))
    except MembersError as problem:
        return render(request, "accounts/leave.html", {"account": account, "error": words_for(problem)}, status=409)
    messages.success(request, _("You have left %(account)s.") % {"account": account.name})
    return redirect("accounts:account")
