"""A second process's worth of registry over the database and store of a `World`, and what it did not answer ahead."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from tests.registry.world import AGENT, CHARTERS, NO_TLS, World, identity_of
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.jwks import HttpFetch
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.app import Registry, create_app
from tidegate_registry.artifacts.http.fast import KeptReads
from tidegate_registry.artifacts.reads import ReadCache
from tidegate_registry.sandbox.ports import address, bind
from tidegate_registry.sandbox.serve import ServerThread
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tidegate.formats.charter import CharterSet
    from tidegate_registry.access.tokens import RegistryTokens
    from tidegate_registry.services import Services
    from tidegate_registry.settings import Settings
    from tidegate_registry.storage.blobs import BlobStore

CACHE_BYTES = 1 << 20
CHANGES_EACH_TIME = ("date", "x-request-id")


@dataclass
class Replica:
    """A registry at `url`. `passed_on`: requests that reached FastAPI; all others were answered ahead of it."""

    url: str
    services: Services
    app: Registry
    access: Gatekeeper
    tokens: RegistryTokens
    passed_on: list[str] = field(default_factory=list)

    def token(self, name: str, *grants: Grant) -> str:
        given = grants or (Grant("repository", AGENT, frozenset({"pull", "push"})),)
        who = Principal(PrincipalKind.HUMAN, identity_of(name), name, {}, given)
        return self.tokens.issue(who, given).text

    def client(self, token: str | None) -> httpx2.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30, verify=NO_TLS)

    def send(self, method: str, target: bytes, *headers: tuple[str, str], host: str | None = None) -> RawAnswer:
        """Send a request line as it is, which no HTTP client would."""
        own = self.url.removeprefix("http://")
        lines = [f"{name}: {value}" for name, value in (("Host", host or own), ("Connection", "close"), *headers)]
        raw = method.encode() + b" " + target + b" HTTP/1.1\r\n" + "\r\n".join((*lines, "", "")).encode("latin-1")
        name, _, port = own.rpartition(":")
        with socket.create_connection((name, int(port)), timeout=30) as connection:
            connection.sendall(raw)
            received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        status, *rest = head.decode("latin-1").split("\r\n")
        pairs = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in rest)]
        return RawAnswer(
            int(status.split()[1]), tuple(sorted(each for each in pairs if each[0] not in CHANGES_EACH_TIME)), body
        )


@dataclass(frozen=True)
class RawAnswer:
    """An answer, without the headers that differ each time."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@contextlib.contextmanager
def replica(
    world: World,
    *,
    tokens: RegistryTokens | None = None,
    charters: Callable[[], CharterSet] = lambda: CHARTERS,
    cache_bytes: int = CACHE_BYTES,
    change: Callable[[Settings], Settings] = lambda settings: settings,
    blobs: BlobStore | None = None,
) -> Iterator[Replica]:
    """Run a replica of `world` with a memory of its own; `cache_bytes` of 0 leaves every request to FastAPI."""
    tokens = tokens or world.tokens
    settings = change(world.services.settings)
    assert isinstance(world.services.blobs, S3BlobStore)
    store = S3BlobStore(settings.s3)  # of its own: it is closed with the event loop that used it
    store.prefix = world.services.blobs.prefix
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(httpx2.Client(trust_env=False, verify=NO_TLS))
        access = Gatekeeper(
            public_url=world.url,
            oidc=OidcVerifier((), audience=world.url, fetch=HttpFetch(http), clock=world.clock),
            tokens=tokens,
            rules=AccessRules(),
            charters=charters,
        )
        services = dataclasses.replace(
            world.services,
            settings=settings,
            blobs=blobs or store,
            staging=store.staging,
            access=access,
            reads=ReadCache(most_bytes=cache_bytes),
        )
        app = create_app(settings, services=services, checked=True)
        listener = bind(0)
        running = Replica(f"http://{address(listener)}", services, app, access, tokens)
        assert isinstance(app.front, KeptReads)
        behind = app.front._app

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                running.passed_on.append(f"{scope['method']} {scope['path']}")
            await behind(scope, receive, send)

        app.front._app = noted
        server = ServerThread(app, listener, "replica")
        server.start()
        stack.callback(server.stop)
        server.wait()
        yield running
