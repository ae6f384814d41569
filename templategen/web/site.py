"""What every page knows of the site."""

from django.conf import settings
from django.http import HttpRequest


def site(_request: HttpRequest) -> dict[str, object]:
    """A context processor: whether the sandbox stands in for Alibaba."""
    return {"uses_sandbox": settings.USE_SANDBOX}
