"""Where a request comes from, for what is counted by address: the peer, or what trusted proxies say of it.

`X-Forwarded-For` is a header that anybody can send. It is read only when the connection comes from a network that the
operator named (`trusted_proxies`), and only from the right, where those proxies wrote: what is further left is what
the caller says about themselves. Source: RFC 7239 section 8.1 on the same danger.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_HOPS = 16  # longer chains of one's own proxies do not exist; a header may have thousands
IPV6_SITE_BITS = 64  # RFC 6177: the least that one site gets, so one caller has 2**64 addresses within it


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Give the address of the caller; None when there is none, as on a Unix socket.

    `peer`: the other end of the connection. `forwarded`: the X-Forwarded-For headers in order. The result is the
    right-most hop that is no trusted proxy. A hop that is no address ends the chain: the proxy that passed it on is it.
    """
    address = _parse(peer or "")
    if address is None or not _is_within(address, trusted):
        return address
    hops = [hop for header in forwarded for hop in header.split(",")]
    for hop in reversed(hops[-MAX_HOPS:]):
        named = _parse(hop)
        if named is None:
            break
        address = named
        if not _is_within(address, trusted):
            break
    return address


def caller_group(address: Address | None) -> str:
    """Name what counts as one caller: an IPv4 address, or the /64 network of an IPv6 address."""
    if address is None:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), IPV6_SITE_BITS), strict=False))


def _parse(text: str) -> Address | None:
    """Read an address, also with a port (`192.0.2.1:80`, `[2001:db8::1]:80`), as some proxies write it."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address  # a socket for both versions shows IPv4 callers as ::ffff:192.0.2.1


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
