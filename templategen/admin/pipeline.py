"""The pipeline's page: what is stuck and why, and the forms on it and on a template's page."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.admin.base import staff_of
from templategen import actions, standing
from templategen.admin import decisions, stuck
from templategen.models import ActionTemplate
from templategen.pipeline_models import CredentialStatus

_MOST_KEY = 20
SEE, DECIDE, RESUME = (
    "templategen.view_actiontemplate",
    "templategen.change_actiontemplate",
    "templategen.change_credentialstatus",
)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """To stand before a template's own addresses."""
    return [
        path("pipeline/", site.admin_view(require_GET(_page)), name="pipeline"),
        path("pipeline/<uuid:public_id>/", site.admin_view(require_POST(_decide)), name="pipeline_decide"),
        path("pipeline/credential/<str:key>/", site.admin_view(require_POST(_resume)), name="pipeline_resume"),
    ]


def _page(request: HttpRequest) -> HttpResponse:
    _require(request, SEE)
    now = timezone.now()
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Pipeline"),
        "now": now,
        "states": standing.by_state(now=now),
        "parts": stuck.parts(now=now),
        "troubles": stuck.troubles(now=now),
        "beats": standing.beats(now=now),
        "conductor": standing.conductor(now=now),
        "queue": _queue(now=now),
        "may_decide": request.user.has_perm(DECIDE),
        "may_resume": request.user.has_perm(RESUME),
    }
    return TemplateResponse(request, "admin/pipeline.html", context)


def _queue(*, now: Any) -> dict[str, Any]:
    """Length and age of the queue; without them where its server is away."""
    try:
        return {"length": standing.queue_length(), "oldest": standing.oldest_message_seconds(now=now)}
    except Exception as problem:  # noqa: BLE001 -- each broker's client has its own; the page is for such times
        return {"problem": type(problem).__name__}


def _decide(request: HttpRequest, public_id: UUID) -> HttpResponse:
    _require(request, DECIDE)
    template = get_object_or_404(ActionTemplate.objects.select_related("clip", "account"), public_id=public_id)
    do = request.POST.get("do", "")
    if do not in decisions.DECISIONS:
        messages.error(request, _("This page does not know that decision. Reload it and choose again."))
        return redirect(_back(request))
    try:
        done = decisions.decide(template, do=do, by=staff_of(request), said=request.POST.dict())
    except decisions.NoReasonError:
        messages.error(request, no_reason())
    except decisions.NotSureError:
        messages.error(
            request, _("“%(name)s”: it may be paid for twice. Tick that you know it.") % {"name": template.name}
        )
    except actions.ActionError as problem:
        messages.error(request, _("“%(name)s”: %(text)s") % {"name": template.name, "text": problem.text})
    else:
        messages.success(request, _("“%(name)s”: %(text)s") % {"name": template.name, "text": done})
    return redirect(_back(request))


def _resume(request: HttpRequest, key: str) -> HttpResponse:
    _require(request, RESUME)
    get_object_or_404(CredentialStatus, key=key[:_MOST_KEY])
    try:
        decisions.resume(key, by=staff_of(request), why=request.POST.get("why", ""))
    except decisions.NoReasonError:
        messages.error(request, no_reason())
        return redirect(_back(request))
    text = _(
        "Resumed: the next template that waits tries it. If Alibaba refuses again, it pauses again, and this page "
        "says why."
    )
    messages.success(request, text)
    return redirect(_back(request))


def no_reason() -> str:
    """What somebody is told who decided without a word of why."""
    return _("Nothing was done: say why. The reason stands in the administration's log.")


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _back(request: HttpRequest) -> str:
    """The page that the form was on: the pipeline's, or a template's."""
    page = request.POST.get("next", "")
    safe = page.startswith(reverse("admin:index")) and url_has_allowed_host_and_scheme(page, allowed_hosts=None)
    return page if safe else reverse("admin:pipeline")
