"""Posters and clips: a redirect to a signed address that works for some minutes, for members only."""

from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_GET

from accounts.permissions import Permission
from templategen import access
from templategen import media as addresses


@require_GET
def poster(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """The first frame."""
    template = access.template_of(access.account_for(request, slug, Permission.LOOK), public_id)
    response = _redirect(addresses.poster_url(template))
    # Remembered by the member's own browser for less than the address lives, so that a gallery seen again asks for
    # no poster twice.
    response["Cache-Control"] = f"private, max-age={max(0, settings.MEDIA_URL_SECONDS - 60) // 2}"
    return response


@require_GET
def video(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """The clip, to play."""
    template = access.template_of(access.account_for(request, slug, Permission.LOOK), public_id)
    return _redirect(addresses.clip_url(template))


@require_GET
def download(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """The clip, to keep under its file name."""
    template = access.template_of(access.account_for(request, slug, Permission.LOOK), public_id)
    return _redirect(addresses.clip_url(template, download=True))


def _redirect(address: str) -> HttpResponse:
    if not address:
        raise Http404
    response = HttpResponseRedirect(address)
    # A player that asks again needs an address that lives (static/js/player.js).
    response["Cache-Control"] = "private, no-store"
    return response
