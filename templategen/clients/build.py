"""The clients as the settings say. The only module of ``clients`` that reads settings."""

import ipaddress
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

from templategen.clients.dashscope import DashScope
from templategen.clients.storage import Storage


def _is_own_domain(endpoint: str) -> bool:
    """Whether an OSS endpoint is a custom domain (CNAME), which already names the bucket."""
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost" or host.endswith(".aliyuncs.com"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


@cache
def storage() -> Storage:
    """The site's bucket; one client (and its connections) a process."""
    return Storage(
        access_key_id=settings.OSS_ACCESS_KEY_ID,
        access_key_secret=settings.OSS_ACCESS_KEY_SECRET,
        bucket=settings.OSS_BUCKET,
        region=settings.OSS_REGION,
        endpoint=settings.OSS_ENDPOINT,
        public_endpoint=settings.OSS_PUBLIC_ENDPOINT,
        is_cname=_is_own_domain(settings.OSS_ENDPOINT),
        public_is_cname=_is_own_domain(settings.OSS_PUBLIC_ENDPOINT),
    )


def dashscope(credential_id: int | None = None) -> DashScope:
    """A credential's view of DashScope (None: the site's key); one client a process."""
    if credential_id is not None:
        raise LookupError("no credential but the site's is known")
    return _site_dashscope()


@cache
def _site_dashscope() -> DashScope:
    return DashScope(
        base_url=settings.DASHSCOPE_BASE_URL,
        api_key=settings.DASHSCOPE_API_KEY,
        model=settings.DASHSCOPE_MODEL,
        workspace=settings.DASHSCOPE_WORKSPACE,
        trailing_slash=settings.DASHSCOPE_TRAILING_SLASH,
        timeout=settings.DASHSCOPE_TIMEOUT_SECONDS,
    )


def forget() -> None:
    """Build anew at the next use: tests change the settings."""
    storage.cache_clear()
    _site_dashscope.cache_clear()
