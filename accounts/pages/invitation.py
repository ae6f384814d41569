"""Taking up an invitation: by the link in the mail, as the user one is, or as a new one made right there."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import members
from accounts.forms import NewPasswordForm
from accounts.members import MembersError
from accounts.models import Invitation, Membership, User
from accounts.pages.secret_addresses import leads_on
from accounts.pages.sign_in import let_in

# The hash of the link that this browser came with: sent again, the offer has another one.
_KEY = "invitation"


@login_not_required
@never_cache
@require_safe
def invitation_link(request: HttpRequest, token: str) -> HttpResponse:
    """The link in the mail: on to the page. It takes nothing up, and HEAD (link previews) does nothing at all."""
    if request.method == "HEAD":
        return HttpResponse()
    invitation = members.invitation_for(token)
    if invitation is not None:
        request.session[_KEY] = invitation.token_hash
    else:
        request.session.pop(_KEY, None)
    return leads_on("accounts:invitation")


@sensitive_post_parameters()
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """Who is invited takes the place, by one button or by choosing a password; 410 when there is none any more."""
    offer = members.open_invitation(str(request.session.get(_KEY, "")))
    if offer is None:
        return render(request, "accounts/invitation_gone.html", status=410)
    if isinstance(request.user, User):
        return _as_oneself(request, offer, request.user)
    if User.objects.filter(email=offer.email).exists():
        return render(request, "accounts/invitation.html", {"invitation": offer, "known": True})
    return _as_new_user(request, offer)


def _as_oneself(request: HttpRequest, offer: Invitation, user: User) -> HttpResponse:
    if user.email != offer.email:
        return render(request, "accounts/invitation_wrong.html", {"invitation": offer}, status=403)
    if request.method == "GET":
        return render(request, "accounts/invitation.html", {"invitation": offer})
    try:
        return _welcome(request, members.accept(offer, user=user))
    except MembersError:
        return render(request, "accounts/invitation_gone.html", status=410)


def _as_new_user(request: HttpRequest, offer: Invitation) -> HttpResponse:
    """The address is the invited one: whoever has the link has proved that it is theirs."""
    form = NewPasswordForm(User(email=offer.email), request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "accounts/invitation.html", {"invitation": offer, "form": form}, status=status)
    try:
        membership = members.accept_as_new_user(offer, form.cleaned_data["new_password1"])
    except MembersError:
        # Used, taken back, or the user made, a moment ago: the page says which.
        return redirect("accounts:invitation")
    let_in(request, membership.user)
    return _welcome(request, membership)


def _welcome(request: HttpRequest, membership: Membership) -> HttpResponse:
    request.session.pop(_KEY, None)
    words = {"account": membership.account.name, "role": membership.get_role_display()}
    messages.success(request, _("Welcome to %(account)s. Your role: %(role)s.") % words)
    # By address: the gallery is not this app's.
    return redirect(f"/a/{membership.account.slug}/")
