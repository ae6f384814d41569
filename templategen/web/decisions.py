"""What a person decides about a template: each a POST, one call in actions.py, an answer.

From the gallery by htmx: the changed card. From anywhere by a plain form: back to the page it came from.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Account, User
from accounts.permissions import Permission
from templategen import access, actions
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.web.cards import card_of, live_context
from templategen.web.gallery import counters_anew, gallery_context, wish_of_page
from templategen.web.htmx import is_htmx


def _who(request: HttpRequest) -> User:
    assert not isinstance(request.user, AnonymousUser)  # noqa: S101  # sign-in is asked for by the middleware
    return request.user


@require_POST
def retry(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Try again with the stored clip."""
    account = access.account_for(request, slug, Permission.MAKE)
    template = access.template_of(account, public_id)
    actions.retry(template, by=_who(request))
    return _changed(request, account, template, _("“%(name)s” is tried again."))


@require_POST
def cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Stop it before anything is paid for."""
    account = access.account_for(request, slug, Permission.CHANGE)
    template = access.template_of(account, public_id)
    was_uploading = template.state == State.UPLOADING
    canceled = actions.cancel(template, by=_who(request))
    if was_uploading:
        # Its page and its card went with it.
        messages.success(request, _("The upload of “%(name)s” is canceled.") % {"name": template.name})
        return _gallery_again(request, account)
    if not canceled:
        return _changed(request, account, template, _("“%(name)s” is to be canceled: as soon as Alibaba says so."))
    return _changed(request, account, template, _("“%(name)s” is canceled. Its video is kept."))


@require_POST
def resubmit(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Send it again although it may be paid for twice: the person's own decision."""
    account = access.account_for(request, slug, Permission.MAKE)
    template = access.template_of(account, public_id)
    actions.resubmit(template, by=_who(request))
    return _changed(request, account, template, _("“%(name)s” is sent again."))


@require_POST
def adopt(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """This task at Alibaba is its own: one that was found, or an ID typed in."""
    account = access.account_for(request, slug, Permission.MAKE)
    template = access.template_of(account, public_id)
    actions.adopt(template, task_id=request.POST.get("task_id", ""), by=_who(request))
    return _changed(request, account, template, _("“%(name)s” has its task, and is watched again."))


@require_POST
def look(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Ask Alibaba once more, now."""
    account = access.account_for(request, slug, Permission.CHANGE)
    template = access.template_of(account, public_id)
    actions.look_again(template, by=_who(request))
    return _changed(request, account, template, _("Alibaba is asked for “%(name)s” again; the answer is shown here."))


@require_POST
def rename(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Give it another name."""
    account = access.account_for(request, slug, Permission.CHANGE)
    template = access.template_of(account, public_id)
    actions.rename(template, name=request.POST.get("name", ""), by=_who(request))
    messages.success(request, _("It is now called “%(name)s”.") % {"name": template.name})
    return redirect("web:detail", account.slug, template.public_id)


@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """GET asks, for browsers without scripts; POST puts it into the trash, with Undo."""
    account = access.account_for(request, slug, Permission.CHANGE)
    template = access.template_of(account, public_id)
    if request.method == "GET":
        context = {"account": account, "card": card_of(account, template), "trash_days": settings.TRASH_DAYS}
        return render(request, "web/delete.html", context)
    actions.delete(template, by=_who(request))
    restore_address = reverse("web:restore", args=[account.slug, template.public_id])
    text = ngettext(
        "“%(name)s” is deleted. It can be restored for %(days)d day.",
        "“%(name)s” is deleted. It can be restored for %(days)d days.",
        settings.TRASH_DAYS,
    ) % {"name": template.name, "days": settings.TRASH_DAYS}
    messages.success(request, text, extra_tags=f"undo {restore_address}")
    return _gallery_again(request, account)


@require_POST
def restore(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Take it out of the trash."""
    account = access.account_for(request, slug, Permission.CHANGE)
    template = access.deleted_template_of(account, public_id)
    actions.restore(template, by=_who(request))
    messages.success(request, _("“%(name)s” is back.") % {"name": template.name})
    return _gallery_again(request, account)


def _changed(request: HttpRequest, account: Account, template: ActionTemplate, said: str) -> HttpResponse:
    text = said % {"name": template.name}
    if not is_htmx(request):
        messages.success(request, text)
        return redirect(_back(request, account))
    template.refresh_from_db()
    messages.success(request, text)
    changed = _parts(
        request,
        ("web/_card.html", {"account": account, "card": card_of(account, template)}),
        ("web/_live.html", {"account": account, "oob": True, **live_context(unsettled=1)}),
        ("_messages.html", {"oob": True}),
    )
    return HttpResponse(changed + "".join(counters_anew(request, account)))


def _gallery_again(request: HttpRequest, account: Account) -> HttpResponse:
    if not is_htmx(request):
        return redirect(_back(request, account, but_not_its_page=True))
    context = gallery_context(account, wish_of_page(request))
    parts = ("web/_gallery.html", context), ("_messages.html", {"oob": True, "wish": context["wish"]})
    return HttpResponse(_parts(request, *parts))


def _parts(request: HttpRequest, *parts: tuple[str, dict[str, Any]]) -> str:
    return "".join(render_to_string(name, context, request) for name, context in parts)


def _back(request: HttpRequest, account: Account, *, but_not_its_page: bool = False) -> str:
    """The page of this site that the form was on; the gallery where that is not known, or the page has gone."""
    gallery = reverse("web:gallery", args=[account.slug])
    page = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    # A Referer is a whole address; anything else could be taken for the name of a view.
    ours = ours and "://" in page
    return page if ours and not (but_not_its_page and "/templates/" in page) else gallery
