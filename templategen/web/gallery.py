"""The gallery: one page of an account's templates, filtered or searched, and the single card."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from accounts.access import remember
from accounts.middleware import asking_page
from accounts.models import Account
from accounts.permissions import Permission
from templategen import access, listing
from templategen.web.cards import card_of, cards_of, live_context
from templategen.web.hold import hold_context, hold_of
from templategen.web.htmx import is_htmx, swaps_only
from templategen.web.quota import quota_context


@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
def gallery(request: HttpRequest, slug: str) -> HttpResponse:
    """The page, or its changing part for htmx; a whole ID in the search box leads straight to its template."""
    account = access.account_for(request, slug, Permission.LOOK)
    wish = listing.Wish.of(request.GET.get("state", ""), request.GET.get("q", ""), request.GET.get("page", ""))
    found = listing.exactly(account, wish.words) if wish.words else None
    if found is not None:
        return _go(request, reverse("web:detail", args=[account.slug, found.public_id]))
    if request.user.is_authenticated:
        remember(request.user, account)
    context = gallery_context(account, wish)
    if swaps_only(request):
        return render(request, "web/_gallery.html", context)
    return render(request, "web/gallery.html", {**context, **quota_context(request, account)})


def _go(request: HttpRequest, address: str) -> HttpResponse:
    return HttpResponse(headers={"HX-Redirect": address}) if is_htmx(request) else redirect(address)


@require_GET
def card(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """One card alone, as it looks now."""
    account = access.account_for(request, slug, Permission.LOOK)
    template = access.template_of(account, public_id)
    return render(request, "web/_card.html", {"account": account, "card": card_of(account, template)})


def wish_of_page(request: HttpRequest) -> listing.Wish:
    """What the gallery page shows from which htmx sent this request."""
    query = parse_qs(asking_page(request).query)
    given = {name: query.get(name, [""])[0] for name in ("state", "q", "page")}
    return listing.Wish.of(given["state"], given["q"], given["page"])


def gallery_context(account: Account, wish: listing.Wish) -> dict[str, Any]:
    """All that the gallery's changing part needs."""
    # No counts stand beside a search, so none are counted.
    counts = {} if wish.words else listing.counts_of(account)
    page = listing.page_of(account, wish, counts)
    in_trash = wish.group == listing.TRASH
    hold = hold_of(account)
    cards = cards_of(account, page.templates, hold)
    unsettled = 0 if in_trash else sum(1 for each in cards if each.live)
    return {
        "account": account,
        "wish": wish,
        "page": page,
        "cards": cards,
        "in_trash": in_trash,
        "here": _address(wish, page=page.number),
        "group_label": listing.label_of(wish.group),
        "trash_days": settings.TRASH_DAYS,
        "page_links": _page_links(wish, page),
        **hold_context(hold),
        **chips_context(account, wish, counts),
        **live_context(unsettled=unsettled),
    }


def chips_context(account: Account, wish: listing.Wish, counts: dict[str, int]) -> dict[str, Any]:
    """The filter's chips. Counts are of the whole account, so none stand there while a search narrows it."""
    chips = [
        {
            "key": group.key,
            "label": group.label,
            "count": counts.get(group.key, 0),
            "address": _address(wish, group=group.key),
            "current": wish.group == group.key,
        }
        for group in listing.GROUPS
    ]
    return {
        "account": account,
        "wish": wish,
        "chips": chips,
        "all_count": counts.get("", 0),
        "all_address": _address(wish, group=""),
        "trash_key": listing.TRASH,
        "trash_address": _address(wish, group=listing.TRASH),
    }


def counters_anew(request: HttpRequest, account: Account) -> Iterator[str]:
    """The chips' counts and the total, to be put in place out of band on the page from which htmx asked."""
    wish = wish_of_page(request)
    counts = listing.counts_of(account)
    chips = chips_context(account, wish, counts)
    yield render_to_string("web/_chips.html", {**chips, "oob": True}, request)
    yield render_to_string("web/_total_anew.html", {"page": listing.page_of(account, wish, counts)}, request)


def _page_links(wish: listing.Wish, page: listing.Page) -> dict[str, Any]:
    numbers = [
        {"number": number, "address": _address(wish, page=number)} if number else None
        for number in listing.page_numbers(page.number, page.pages)
    ]
    return {
        "numbers": numbers,
        "previous": _address(wish, page=page.number - 1) if page.number > 1 else "",
        "next": _address(wish, page=page.number + 1) if page.number < page.pages else "",
    }


def _address(wish: listing.Wish, *, group: str | None = None, page: int = 1) -> str:
    """The query part of the address of another page, filter or search; ``?`` for the bare gallery."""
    parts = {
        "state": wish.group if group is None else group,
        "q": wish.words,
        "page": str(page) if page > 1 else "",
    }
    return "?" + urlencode({name: value for name, value in parts.items() if value})
