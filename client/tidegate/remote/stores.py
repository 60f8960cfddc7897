"""Where a registry may send us: a link is a stranger's wish for a request from inside our network.

Source: docs/threats.md, "What a link of a registry can do".
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.errors import Unreachable

if TYPE_CHECKING:
    from tidegate.remote.address import RegistryAddress

MAX_URL = 8192  # a presigned URL has some 600 characters, more with a session token
MAX_HEADERS, MAX_HEADER = 20, 1024
_HEADER = re.compile(r"content-length|content-type|if-none-match|x-amz-[a-z0-9-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]*")
_URL = re.compile(r"[!-\[\]-~]+")  # printable ASCII, no backslash: what parsers of URLs read alike

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], Sequence[str]]
"""Gives the IP addresses of a host name. Raises OSError."""

# addresses inside of clouds that answer any caller, beside the link-local ones: AWS, Alibaba, Azure, Oracle
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598: inside of a provider


def resolve(host: str) -> Sequence[str]:
    """Ask the system's resolver."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Stores:
    """Decides which links are followed. Host names are looked up once; a proxy of the environment asks for itself."""

    def __init__(self, registry: RegistryAddress, resolve: Resolve = resolve) -> None:
        self._registry, self._resolve = registry, resolve
        self._good: set[tuple[str, bool]] = set()

    def check(self, url: str, headers: Mapping[str, str], size: int) -> None:
        """Raise Unreachable (code "store-refused") unless `size` bytes may be PUT to `url` with `headers`."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise _not_followed(url[:300], "a URL") from error
        schemes = ("https", "http") if self._registry.scheme == "http" else ("https",)
        host = parts.hostname or ""
        legible = len(url) <= MAX_URL and _URL.fullmatch(url)
        if not legible or parts.scheme not in schemes or not host or "@" in parts.netloc:
            raise _not_followed(url[:300], f"a URL with {' or '.join(schemes)}, and no user in it")
        names = {name.lower(): value for name, value in headers.items()}
        length = names.get("content-length", str(size))
        for name, value in names.items():
            if not _HEADER.fullmatch(name) or len(value) > MAX_HEADER or not _VALUE.fullmatch(value):
                raise _not_followed(
                    f"the header {name[:100]!r}", "Content-Length, Content-Type, If-None-Match, x-amz-…"
                )
        if not len(headers) == len(names) <= MAX_HEADERS or length != str(size):
            raise _not_followed(f"Content-Length: {length}", f"each header once, for {size} bytes")
        self.check_host(host)

    def check_host(self, host: str, *, private: bool = False) -> None:
        """Raise Unreachable (code "store-refused") unless `host` is one that a registry may send us to.

        `private`: private networks are good whatever the registry's own address is.
        """
        if (host, private) in self._good:
            return
        own: list[Address] | None = None
        for found in self._addresses(host):
            inside = _is_inside(found) and not (private and not found.is_loopback)
            if inside and own is None:
                own = self._addresses(urlsplit(self._registry.url).hostname or "")
            if is_never_sent_to(found) or (inside and not _is_neighbour(found, own or [])):
                raise _not_followed(
                    f"{host} ({found})",
                    "a public address, or for a registry on a private network another one there",
                    hint="the registry's operator can name the store as you reach it: `s3.presign_endpoints`",
                )
        self._good.add((host, private))

    def _addresses(self, host: str) -> list[Address]:
        try:
            return addresses(host, self._resolve)
        except (OSError, UnicodeError) as error:
            from urllib.request import getproxies

            if getproxies() and not self._registry.is_local:
                return []  # names outside are the proxy's business
            raise Unreachable("the host of the registry's store has no address", found=host) from error


def addresses(host: str, resolve: Resolve = resolve) -> list[Address]:
    """Give the addresses of a host name, or the one that `host` is. Raises OSError, UnicodeError."""
    try:
        return [_plain(ipaddress.ip_address(host))]
    except ValueError:
        return [_plain(ipaddress.ip_address(text.partition("%")[0])) for text in resolve(host)]


def _plain(address: Address) -> Address:
    """Take an IPv4 address out of the IPv6 one that stands for it."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_neighbour(found: Address, own: Sequence[Address]) -> bool:
    """Whether the registry itself, with its addresses `own`, is as far inside."""
    here = all(each.is_loopback for each in own)
    return bool(own) and (here or (not found.is_loopback and all(_is_inside(each) for each in own)))


def _is_inside(address: Address) -> bool:
    return address.is_loopback or ((address.is_private or address in _SHARED) and not is_never_sent_to(address))


def is_never_sent_to(address: Address) -> bool:
    """Whether nobody's link may lead there: link-local addresses, the metadata services of clouds, multicast."""
    never = address.is_link_local or address.is_multicast or address.is_unspecified
    return never or address in _METADATA or (address.is_reserved and not address.is_loopback)


def _not_followed(found: str, expected: str, hint: str | None = None) -> Unreachable:
    return Unreachable(
        "the registry points us to a server that it has no business with",
        code="store-refused",
        found=found,
        expected=expected,
        hint=hint,
    )
