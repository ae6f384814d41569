"""One HTTP session for what leaves the machine: a time-out that no call can forget, and no retries of its own."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter


class UnwritableError(requests.RequestException):
    """The request cannot be written as HTTP (its address, a header): nothing was sent."""


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


class TimeoutSession(requests.Session):
    """A session whose requests end after ``timeout`` seconds (connect and each read) unless a call says otherwise.

    Redirects are not followed: neither service sends them, and a key must not travel to another host. Connections are
    kept open for the next call, up to ``pool`` of them; threads may share a session.
    """

    def __init__(self, *, timeout: float, pool: int = 32) -> None:
        super().__init__()
        self.timeout = timeout
        # Else a .netrc of whoever runs the site would take the key's place in the header.
        self.auth = _as_it_is
        adapter = HTTPAdapter(max_retries=0, pool_maxsize=pool)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """As ``requests.Session.request``, with the default time-out."""
        kwargs.setdefault("timeout", self.timeout)
        kwargs.setdefault("allow_redirects", False)
        return super().request(method, url, *args, **kwargs)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As ``requests.Session.prepare_request``; raises UnwritableError for all that would fail before a connection.

        Asked here, so that the same failure after it never passes for "not sent".
        """
        try:
            prepared = super().prepare_request(request)
            self.get_adapter(str(prepared.url))
            for value in prepared.headers.values():
                if isinstance(value, str):
                    value.encode("latin-1")
        except (ValueError, requests.RequestException) as problem:
            raise UnwritableError(type(problem).__name__) from problem
        return prepared

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: ``requests`` reads the address of a redirect even where it does not follow it, and may stumble."""
        return
