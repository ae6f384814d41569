"""Addresses that hold a token show no page: they lead on to one that holds none.

So no picture, link or form of a page can tell the token to anybody by its Referer. (A page with ``no-referrer`` itself
is no way: browsers send its forms with ``Origin: null``, which the guard against forgery refuses.)
"""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect


def leads_on(to: str, *arguments: Any) -> HttpResponse:
    """A redirect that nothing remembers."""
    response = redirect(to, *arguments)
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store, private"
    return response
