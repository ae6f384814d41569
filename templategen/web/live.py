"""The page's one small poll: only cards that look otherwise now, and when to ask again."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from django_htmx.http import trigger_client_event

from accounts.models import Account
from templategen import access, listing
from templategen.models import ActionTemplate
from templategen.web.cards import card_of, live_context
from templategen.web.detail import PLAYERS, live_detail, player_of
from templategen.web.gallery import counters_anew

# More than a page shows is not asked for by our pages.
MOST_CARDS = 100
_QUIET_ENOUGH = 1000


@require_GET
def live(request: HttpRequest, slug: str) -> HttpResponse:
    """``t=<public id>.<version>`` per unsettled card, ``quiet`` answers without change so far, ``on=detail`` from the
    detail page. Answers the next poll and, out of band, what has changed."""
    account = access.account_for(request.user, slug)
    seen = _seen(request.GET.getlist("t"))
    changed, gone, unsettled = listing.changed_since(account, seen)
    moved = bool(changed or gone)
    going_on = live_context(quiet=0 if moved else _quiet(request) + 1, unsettled=unsettled)
    context = {"account": account, "gone": sorted(gone), **going_on}
    if request.GET.get("on") == "detail":
        parts = _detail_parts(request, account, changed, context)
    else:
        parts = _gallery_parts(request, account, changed, context, moved=moved)
    response = HttpResponse("".join(parts))
    response["Cache-Control"] = "no-store"
    news = [
        _("%(name)s: %(state)s.") % {"name": template.name, "state": template.get_state_display()}
        for template in changed
        if template.is_settled
    ]
    return trigger_client_event(response, "templates:news", {"text": " ".join(news)}) if news else response


def _gallery_parts(
    request: HttpRequest, account: Account, changed: list[ActionTemplate], context: dict[str, Any], *, moved: bool
) -> Iterator[str]:
    yield render_to_string("web/_live.html", context, request)
    for template in changed:
        card = {"account": account, "card": card_of(account, template), "oob": True}
        yield render_to_string("web/_card.html", card, request)
    if moved:
        yield from counters_anew(request, account)


def _detail_parts(
    request: HttpRequest, account: Account, changed: list[ActionTemplate], context: dict[str, Any]
) -> Iterator[str]:
    given = request.GET.get("player", "")
    shown = given if given in PLAYERS else "none"
    player = player_of(changed[0]) if changed else shown
    yield render_to_string("web/_live.html", {**context, "on": "detail", "player": player}, request)
    for template in changed[:1]:
        yield live_detail(request, account, template, player=shown)


def _seen(given: list[str]) -> dict[UUID, int]:
    seen: dict[UUID, int] = {}
    for each in given[:MOST_CARDS]:
        public_id, _separator, version = each.partition(".")
        try:
            seen[UUID(public_id)] = int(version[:12])
        except ValueError:
            continue
    return seen


def _quiet(request: HttpRequest) -> int:
    try:
        return min(max(0, int(request.GET.get("quiet", "0")[:6])), _QUIET_ENOUGH)
    except ValueError:
        return 0
