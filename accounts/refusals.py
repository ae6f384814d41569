"""Too often, in the form that was asked for: a page, a message for htmx, JSON. 429 with Retry-After."""

import math

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.limits import TooManyError
from accounts.middleware import wants_json

STATUS = 429


def too_many(request: HttpRequest, name: str, seconds: int) -> HttpResponse:
    """``name`` is the limit's: what was too much. Come back in ``seconds``."""
    what = _what(name)
    text = f"{what} {_come_back(seconds)}"
    answer: HttpResponse
    if wants_json(request):
        answer = JsonResponse({"error": {"code": "too_many", "text": text}}, status=STATUS)
    elif request.headers.get("HX-Request") == "true":
        answer = render(request, "_message.html", {"text": text, "level": "error"}, status=STATUS)
        answer["HX-Retarget"] = "#messages"
        answer["HX-Reswap"] = "beforeend"
    else:
        answer = render(request, "accounts/locked.html", {"what": what, "when": _come_back(seconds)}, status=STATUS)
    answer["Retry-After"] = str(seconds)
    answer["Cache-Control"] = "no-store"
    return answer


def words(problem: TooManyError) -> str:
    """What was too much, and when to come back: for a form that stays on its page."""
    return f"{_what(problem.name)} {_come_back(problem.seconds)}"


def _what(name: str) -> str:
    return _texts().get(name) or _("That was too often in a short time.")


def _come_back(seconds: int) -> str:
    if seconds < 100:
        return ngettext("Try again in %(seconds)d second.", "Try again in %(seconds)d seconds.", seconds) % {
            "seconds": seconds
        }
    minutes = math.ceil(seconds / 60)
    return ngettext("Try again in %(minutes)d minute.", "Try again in %(minutes)d minutes.", minutes) % {
        "minutes": minutes
    }


def _texts() -> dict[str, str]:
    return {
        "sign_in": _("Too many wrong passwords came from your network address."),
        "link": _("Too many links were opened from your network address."),
        "code": _("Too many codes were tried."),
        "mail": _("Too many mails were asked for."),
        "mail_to": _("Too many mails to this address were asked for."),
        "invite": _("Too many invitations were sent in a short time."),
        "account": _("Too many accounts were made in a short time."),
        "credential": _("Too many API keys were checked in a short time."),
        "precheck": _("Too many videos were chosen in a short time."),
        "upload": _("Too many uploads were begun in a short time."),
    }
