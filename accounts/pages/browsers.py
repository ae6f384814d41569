"""Where one is signed in, and signing out there."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import sessions
from accounts.pages.person import person
from accounts.user_agents import name_of


@never_cache
@require_GET
def browsers(request: HttpRequest) -> HttpResponse:
    """The list: which browser, from which address, since when, last seen when."""
    found = sessions.of(person(request), this=request.session.session_key)
    rows = [{"session": session, "name": name_of(session.user_agent)} for session in found]
    return render(request, "accounts/sessions.html", {"rows": rows, "others": sum(not row.is_this for row in found)})


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """Sign out in one browser (``session``), or in all others."""
    user = person(request)
    session = request.POST.get("session", "")
    if session:
        if sessions.end(user, session=session):
            messages.success(request, _("That browser is signed out."))
        else:
            messages.info(request, _("That browser was signed out already."))
    else:
        count = sessions.end_all(user, but=request.session.session_key)
        text = ngettext("%(count)d other browser is signed out.", "%(count)d other browsers are signed out.", count)
        messages.success(request, text % {"count": count})
    return redirect("accounts:browsers")
