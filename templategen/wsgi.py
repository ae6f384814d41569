"""The entry point for gunicorn: ``gunicorn templategen.wsgi``."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "templategen.settings")
# With this status of a worker gunicorn ends; with another it would start it again without end.
_WILL_NOT_BOOT = 3


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


try:
    _django = get_wsgi_application()
except ImproperlyConfigured as problem:
    # The environment is at fault, not the code: one line says what to mend.
    sys.stderr.write(f"templategen: {problem}\n")
    sys.exit(_WILL_NOT_BOOT)


def _patience() -> float:
    from django.conf import settings  # noqa: PLC0415 -- readable once Django is set up

    return float(settings.BODY_TIMEOUT_SECONDS)


application = PatienceLimit(_django, seconds=_patience())
