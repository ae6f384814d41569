"""What htmx says about a request."""

from django.http import HttpRequest


def is_htmx(request: HttpRequest) -> bool:
    """The request was made by htmx, to swap a part of the page."""
    return request.headers.get("HX-Request") == "true"


def swaps_only(request: HttpRequest) -> bool:
    """A part is enough; not so when htmx asks for a whole page to go back to."""
    return is_htmx(request) and request.headers.get("HX-History-Restore-Request") != "true"
