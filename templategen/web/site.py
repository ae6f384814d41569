"""What every page knows of the site, and of what the reader may do."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.access import suspended_because, what_one_may


def site(request: HttpRequest) -> dict[str, object]:
    """A context processor: whether the sandbox stands in for Alibaba, who may sign up, ``may.make`` and its like."""
    return {
        "uses_sandbox": settings.USE_SANDBOX,
        "may": what_one_may(request),
        # Asked for by pages of suspended accounts only.
        "suspended_because": SimpleLazyObject(lambda: suspended_because(request)),
        "sign_up_open": settings.SIGN_UP == "open",
    }
