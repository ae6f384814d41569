"""Where a visitor comes from, also behind a proxy: what one cannot choose oneself."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

# Whoever has one IPv6 address has this whole network to choose others from (RFC 6177: /64 to a single LAN).
_IPV6_NETWORK = 64


def visitor_address(request: HttpRequest) -> str:
    """The visitor's IP address; empty where none is known (a Unix socket without a proxy's word).

    Behind TEMPLATEGEN_PROXIES proxies it is so many places from the right in X-Forwarded-For: what stands left of it
    was sent by the visitor, and may be anything.
    """
    if settings.BEHIND_PROXY:
        said = request.headers.get("X-Forwarded-For", "").split(",")
        if len(said) >= settings.PROXIES:
            address = _address(said[-settings.PROXIES])
            if address is not None:
                return str(address)
    found = _address(request.META.get("REMOTE_ADDR", ""))
    return "" if found is None else str(found)


def counted_address(request: HttpRequest) -> str | None:
    """What attempts are counted by: an IPv4 address, or an IPv6 network's first address; None where none is known."""
    found = _address(visitor_address(request))
    if found is None or found.version == 4:
        return None if found is None else str(found)
    return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False).network_address)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        # A scope ("%eth0") means something on one machine only.
        return found.ipv4_mapped or ipaddress.IPv6Address(int(found))
    return found
