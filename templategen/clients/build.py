"""The clients as the settings say. The only module of ``clients`` that reads settings."""

import ipaddress
import threading
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

from accounts import credentials
from accounts.models import Credential
from templategen.clients.addresses import is_allowed
from templategen.clients.dashscope import DashScope, UnusableKeyError
from templategen.clients.storage import Storage

# Clients of accounts' own credentials, and the connections that they keep.
_MOST_OWN = 200
_own: dict[int, DashScope] = {}
_lock = threading.Lock()


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
    """A credential's view of DashScope (None: the site's key); one client a process.

    Retired ones too: their open tasks are watched on. Raises UnusableKeyError; another key never takes its place, for
    somebody else would be billed. Asks the database the first time: not to be called by threads that only call.
    """
    if credential_id is None:
        return _site_dashscope()
    with _lock:
        client = _own.get(credential_id)
    if client is None:
        client = _own_dashscope(Credential.objects.get(pk=credential_id))
        with _lock:
            _own[credential_id] = client
            while len(_own) > _MOST_OWN:
                del _own[next(iter(_own))]
    return client


def _own_dashscope(credential: Credential) -> DashScope:
    """Credentials are never changed, only replaced: a client stays right."""
    try:
        secret = credentials.secret_of(credential)
    except credentials.UnreadableError as problem:
        raise UnusableKeyError(UnusableKeyError.UNREADABLE) from problem
    return dashscope_with(secret, workspace=credential.workspace, base_url=credential.base_url)


def dashscope_with(secret: str, *, workspace: str = "", base_url: str = "", timeout: float | None = None) -> DashScope:
    """A client with a key that somebody brought; ``base_url`` empty: the site's. Raises UnusableKeyError."""
    if not may_call(base_url):
        raise UnusableKeyError(UnusableKeyError.NOT_ALLOWED)
    return DashScope(
        base_url=base_url or settings.DASHSCOPE_BASE_URL,
        api_key=secret,
        model=settings.DASHSCOPE_MODEL,
        workspace=workspace,
        trailing_slash=_ends_with_slash(base_url),
        timeout=settings.DASHSCOPE_TIMEOUT_SECONDS if timeout is None else timeout,
    )


def _ends_with_slash(base_url: str) -> bool:
    """How the submit is spelt: with a slash at the shared host, without at workspaces' own (docs/alibaba.md 1.1)."""
    host = urlsplit(base_url).hostname
    if host in {None, urlsplit(settings.DASHSCOPE_BASE_URL).hostname}:
        return bool(settings.DASHSCOPE_TRAILING_SLASH)
    return host == "dashscope.aliyuncs.com"


def may_call(base_url: str) -> bool:
    """Whether an account's own key may name this address of the API; empty is the site's."""
    # Nobody's real key is sent anywhere while the sandbox stands in for Alibaba.
    hosts = [] if settings.USE_SANDBOX else settings.DASHSCOPE_ALLOWED_HOSTS
    return not base_url or is_allowed(base_url, hosts=hosts, like=settings.DASHSCOPE_BASE_URL)


def fingerprint(credential_id: int | None) -> str:
    """Which API key a submit with this credential is made with (accounts.credentials.fingerprint_of)."""
    if credential_id is None:
        return credentials.fingerprint_of(settings.DASHSCOPE_API_KEY)
    return Credential.objects.values_list("fingerprint", flat=True).get(pk=credential_id)


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
    with _lock:
        _own.clear()
