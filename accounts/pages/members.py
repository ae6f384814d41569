"""Who belongs to an account. Every member sees with whom they share it; owners invite, change roles and remove."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import history, limits, members
from accounts.access import account_for
from accounts.forms import InviteForm, RoleForm
from accounts.members import MembersError
from accounts.models import Account, Invitation, Membership, Role
from accounts.pages.person import person
from accounts.permissions import Permission


@require_GET
def members_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The list; for owners with invitations and history."""
    account = account_for(request, slug, Permission.LOOK)
    return _page(request, account, InviteForm())


def _page(
    request: HttpRequest, account: Account, form: InviteForm, *, error: str = "", status: int = 200
) -> HttpResponse:
    rows = account.memberships.select_related("user").order_by("pk")
    context = {
        "account": account,
        "memberships": rows,
        "roles": Role.choices,
        "form": form,
        "error": error,
        "invitations": members.pending_invitations(account),
        "events": history.latest(account),
        "now": timezone.now(),
    }
    return render(request, "accounts/members.html", context, status=status)


@require_POST
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    """Mail somebody an offer to join. Raises limits.TooManyError."""
    account = account_for(request, slug, Permission.MANAGE)
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _page(request, account, form, status=422)
    email = form.cleaned_data["email"]
    limits.take("mail_to", limits.mailed(email))
    try:
        members.invite(account, email=email, role=Role(form.cleaned_data["role"]), by=person(request))
    except MembersError as problem:
        form.add_error("email", words_for(problem))
        return _page(request, account, form, status=409)
    messages.success(request, _("%(email)s is invited: a mail with a link is on its way.") % {"email": email})
    return redirect("accounts:members", slug=account.slug)


@require_POST
def invite_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Mail an offer anew, with a fresh link. Raises limits.TooManyError."""
    account = account_for(request, slug, Permission.MANAGE)
    invitation = _invitation_of(account, pk)
    limits.take("mail_to", limits.mailed(invitation.email))
    try:
        members.invite_again(invitation, by=person(request))
    except MembersError as problem:
        return _page(request, account, InviteForm(), error=words_for(problem), status=409)
    text = _("A new mail to %(email)s is on its way. The link in the earlier one no longer works.")
    messages.success(request, text % {"email": invitation.email})
    return redirect("accounts:members", slug=account.slug)


@require_POST
def take_back(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The link in the mail opens nothing any more."""
    account = account_for(request, slug, Permission.MANAGE)
    invitation = _invitation_of(account, pk)
    if not members.revoke(invitation, by=person(request)):
        error = words_for(MembersError(MembersError.GONE))
        return _page(request, account, InviteForm(), error=error, status=409)
    messages.success(request, _("The invitation of %(email)s is taken back.") % {"email": invitation.email})
    return redirect("accounts:members", slug=account.slug)


@require_POST
def change_role(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let a member do more, or less."""
    account = account_for(request, slug, Permission.MANAGE)
    membership = _membership_of(account, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _page(request, account, InviteForm(), error=_("Choose one of the roles."), status=422)
    role = Role(form.cleaned_data["role"])
    try:
        members.change_role(membership, role, by=person(request))
    except MembersError as problem:
        return _page(request, account, InviteForm(), error=words_for(problem), status=409)
    words = {"email": membership.user.email, "role": role.label}
    messages.success(request, _("The role of %(email)s is now: %(role)s.") % words)
    return redirect("accounts:members", slug=account.slug)


@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """GET asks; POST shuts a member out. What they made stays."""
    account = account_for(request, slug, Permission.MANAGE)
    membership = _membership_of(account, pk)
    if membership.user_id == person(request).pk:
        return redirect("accounts:leave", slug=account.slug)
    if request.method == "GET":
        return render(request, "accounts/remove.html", {"account": account, "membership": membership})
    try:
        members.remove(membership, by=person(request))
    except MembersError as problem:
        return _page(request, account, InviteForm(), error=words_for(problem), status=409)
    words = {"email": membership.user.email, "account": account.name}
    messages.success(request, _("%(email)s is no longer a member of %(account)s.") % words)
    return redirect("accounts:members", slug=account.slug)


def words_for(problem: MembersError) -> str:
    """What happened and what to do."""
    texts = {
        MembersError.LAST_OWNER: _(
            "This is the account's last owner, and an account needs one. Make somebody else an owner first."
        ),
        MembersError.ALREADY: _("Who has this address is a member already. Their role can be changed in the list."),
        MembersError.GONE: _("This is no longer there: it was used, taken back or removed meanwhile."),
    }
    return texts.get(problem.code) or _("This cannot be done now. Reload the page and look again.")


def _membership_of(account: Account, pk: int) -> Membership:
    membership = account.memberships.select_related("user").filter(pk=pk).first()
    if membership is None:
        raise Http404
    return membership


def _invitation_of(account: Account, pk: int) -> Invitation:
    invitation = account.invitations.select_related("account").filter(pk=pk).first()
    if invitation is None:
        raise Http404
    return invitation
