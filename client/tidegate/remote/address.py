"""Where a registry is: `host[:port]`, https unless the host is this machine."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.errors import InvalidInput

if TYPE_CHECKING:
    import httpx2

_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORT = {"https": "443", "http": "80"}
_MAX_PORT = 65535
MAX_CONNECTIONS = 8  # twice the uploads that run at once, so that small requests never wait behind them

# seconds; connecting is quick or hopeless, while naming a version makes the registry verify evidence before it answers
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """A registry's `host[:port]` and scheme. `url` is also the audience of identity tokens meant for it."""

    host: str
    scheme: str = "https"

    @classmethod
    def parse(cls, text: str, *, plain_http: bool = False) -> RegistryAddress:
        """Parse `host[:port]`, with or without a scheme.

        This machine is spoken to over http, everything else over https: `plain_http` allows http elsewhere, and only
        an explicit wish of the user may set it. Raises InvalidInput.
        """
        scheme, separator, rest = text.rpartition("://")
        match = _HOST.fullmatch(rest.removesuffix("/"))
        if match is None or int(match["port"] or 0) > _MAX_PORT or scheme not in ("", "http", "https"):
            raise InvalidInput("that is not the address of a registry", found=text[:300], expected="host[:port]")
        local = is_loopback(match["host"])
        if scheme == "http" and not (local or plain_http):
            raise InvalidInput(
                "a registry on another machine is spoken to over https only",
                code="plain-http-refused",
                found=text[:300],
                expected=f"https://{rest}",
                hint="allow http with --plain-http if you trust every machine between here and the registry",
            )
        if not separator:
            scheme = "http" if local or plain_http else "https"
        host = match["host"].lower()
        port = match["port"] if match["port"] not in (None, _DEFAULT_PORT[scheme]) else None
        return cls(host=f"{host}:{port}" if port else host, scheme=scheme)

    @property
    def url(self) -> str:
        """Scheme and host, without a trailing slash."""
        return f"{self.scheme}://{self.host}"

    @property
    def is_local(self) -> bool:
        """Whether the registry runs on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    def __str__(self) -> str:
        return self.host


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an IP address, brackets allowed) is this machine. Source: RFC 6761, RFC 6890."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def new_client(address: RegistryAddress) -> httpx2.Client:
    """Make the HTTP client for `address`: no redirects by itself, bounded waits, no proxy to this machine."""
    from importlib.metadata import version

    import httpx2

    return httpx2.Client(
        timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS),
        headers={"User-Agent": f"tidegate/{version('tidegate')}", "Accept-Encoding": "identity"},
        trust_env=not address.is_local,
        follow_redirects=False,
    )
