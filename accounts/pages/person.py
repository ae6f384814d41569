"""Who is signed in."""

from django.http import HttpRequest

from accounts.models import User


def person(request: HttpRequest) -> User:
    """The user. Only for pages that the middleware lets nobody else see."""
    assert isinstance(request.user, User)  # noqa: S101  # sign-in is asked for by the middleware
    return request.user
