"""The page's one small poll: only what looks otherwise now, and when to ask again.

A card changes with its row. Its outlook (place in line, time left) and the notice of what holds the line back change
without it: they are reckoned every fifteen seconds only, and sent only where the page shows other words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from django_htmx.http import trigger_client_event

from accounts.models import Account
from accounts.permissions import Permission
from templategen import access, listing
from templategen.models import ActionTemplate
from templategen.web.cards import cards_of, live_context
from templategen.web.detail import PLAYERS, live_detail, player_of
from templategen.web.gallery import counters_anew
from templategen.web.hold import Hold, hold_context, hold_news, hold_of
from templategen.web.quota import quota_context

# More than a page shows is not asked for by our pages.
MOST_CARDS = 100
_QUIET_ENOUGH = 1000
# While polls come every three seconds, each fifth looks at what changes without a row.
_EVERY = 5
_QUICK = 3
_LONGEST_MARK = 20


@dataclass(frozen=True)
class Shown:
    """What the page says that it shows."""

    versions: dict[UUID, int]
    # Of each outlook, in short (cards.Card.told).
    told: dict[UUID, str]
    # Of the notice, in short (hold.Hold.mark).
    hold: str


@require_GET
def live(request: HttpRequest, slug: str) -> HttpResponse:
    """``t=<public id>.<version>.<told>`` per unsettled card, ``hold`` and ``quota`` the notices' marks, ``quiet``
    answers without change so far, ``on=detail`` from the detail page. Answers the next poll and, out of band, what
    has changed."""
    account = access.account_for(request, slug, Permission.LOOK)
    shown = _shown(request)
    since = listing.changed_since(account, shown.versions)
    moved = bool(since.changed or since.gone)
    going_on = live_context(quiet=0 if moved else _quiet(request) + 1, unsettled=since.unsettled)
    context = {"account": account, "gone": sorted(since.gone), **going_on}
    parts = list(_page_parts(request, account, since, context))
    news = _ended(since.changed)
    if moved or going_on["quiet"] % _EVERY == 0 or going_on["poll_seconds"] > _QUICK:
        hold = hold_of(account)
        parts += _outlooks_anew(request, account, since, shown, hold)
        if (hold.mark if hold else "") != shown.hold:
            told = {"account": account, **hold_context(hold), "oob": True}
            parts.append(render_to_string("web/_hold.html", told, request))
            news += filter(None, [hold_news(shown.hold, hold)])
        parts += _quota_anew(request, account)
    response = HttpResponse("".join(parts))
    response["Cache-Control"] = "no-store"
    return trigger_client_event(response, "templates:news", {"text": " ".join(news)}) if news else response


def _ended(changed: list[ActionTemplate]) -> list[str]:
    return [
        _("%(name)s: %(state)s.") % {"name": template.name, "state": template.get_state_display()}
        for template in changed
        if template.is_settled
    ]


def _page_parts(request: HttpRequest, account: Account, since: listing.Since, context: dict[str, Any]) -> Iterator[str]:
    if request.GET.get("on") == "detail":
        yield from _detail_parts(request, account, since.changed, context)
        return
    yield render_to_string("web/_live.html", context, request)
    if since.changed:
        for card in cards_of(account, since.changed, hold_of(account)):
            yield render_to_string("web/_card.html", {"account": account, "card": card, "oob": True}, request)
    if since.changed or since.gone:
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


def _outlooks_anew(
    request: HttpRequest, account: Account, since: listing.Since, shown: Shown, hold: Hold | None
) -> Iterator[str]:
    """Those of the other cards that the page shows with other words."""
    for card in cards_of(account, since.same, hold):
        if card.told != shown.told.get(card.template.public_id, ""):
            yield render_to_string("web/_outlook.html", {"card": card, "oob": True}, request)


def _quota_anew(request: HttpRequest, account: Account) -> Iterator[str]:
    """The notice near and at a limit, where the page has a place for it and shows another one, or none."""
    if "quota" not in request.GET:
        return
    context = quota_context(request, account)
    if (context["quota"].mark if context["quota"] else "") != request.GET["quota"]:
        yield render_to_string("web/_quota.html", {"account": account, **context, "oob": True}, request)


def _shown(request: HttpRequest) -> Shown:
    versions: dict[UUID, int] = {}
    told: dict[UUID, str] = {}
    for each in request.GET.getlist("t")[:MOST_CARDS]:
        public_id, _dot, rest = each.partition(".")
        version, _dot, mark = rest.partition(".")
        try:
            which = UUID(public_id)
            versions[which] = int(version[:12])
        except ValueError:
            continue
        told[which] = mark[:_LONGEST_MARK]
    return Shown(versions, told, request.GET.get("hold", "")[:_LONGEST_MARK])


def _quiet(request: HttpRequest) -> int:
    try:
        return min(max(0, int(request.GET.get("quiet", "0")[:6])), _QUIET_ENOUGH)
    except ValueError:
        return 0
