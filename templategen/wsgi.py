"""The entry point for gunicorn: ``gunicorn templategen.wsgi``."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "templategen.settings")


class PatienceLimit:
    """Gives a client so many seconds between two pieces of its request.

    gunicorn's threads wait for a request's body without end: eight half-sent requests, from a laptop that went to
    sleep or from a stranger, would stop a web process for good.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], *, seconds: float) -> None:
        self._application = application
        self._seconds = seconds

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Hand the request on; under another server than gunicorn there is no socket to limit."""
        connection = environ.get("gunicorn.socket")
        if connection is not None:
            connection.settimeout(self._seconds)
        return self._application(environ, start_response)


_django = get_wsgi_application()


def _patience() -> float:
    from django.conf import settings  # noqa: PLC0415 -- readable once Django is set up

    return float(settings.BODY_TIMEOUT_SECONDS)


application = PatienceLimit(_django, seconds=_patience())
