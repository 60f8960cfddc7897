"""An OIDC issuer on loopback whose every answer a test can bend: keys, documents, failures."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwks import HttpFetch
from tidegate_registry.access.oidc import OidcVerifier

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REGISTRY = "https://registry.example"
SHA = "5a" * 20
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # everything is on loopback; loading authorities takes 20 ms


@dataclass
class Clock:
    """A clock moved by hand."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid})


def ec_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def ed_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid})


@dataclass
class FakeIssuer:
    """Serves discovery and keys at `url`; `requests` lists the paths asked for."""

    url: str
    keys: list[Key] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    answer: Callable[[str], tuple[int, Mapping[str, str], bytes] | None] | None = None
    extra_jwks: list[Mapping[str, object]] = field(default_factory=list)

    def respond(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        self.requests.append(path)
        bent = self.answer(path) if self.answer else None
        if bent is not None:
            return bent
        if path == "/.well-known/openid-configuration":
            return 200, {}, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/keys":
            keys = [*(key.as_dict(private=False) for key in self.keys), *self.extra_jwks]
            return 200, {}, json.dumps({"keys": keys}).encode()
        return 404, {}, b""

    def token(
        self,
        claims: Mapping[str, object],
        *,
        now: datetime = NOW,
        key: Key | None = None,
        alg: str = "ES256",
        header: Mapping[str, object] | None = None,
    ) -> str:
        """Sign `claims` over sound defaults; a claim of None is left out."""
        key = key or self.keys[0]
        seconds = int(now.timestamp())
        base = {"iss": self.url, "aud": REGISTRY, "sub": "s", "iat": seconds, "nbf": seconds, "exp": seconds + 300}
        body = {name: value for name, value in {**base, **claims}.items() if value is not None}
        full = {"alg": alg, "kid": key.kid, **(header or {})}
        return jwt.encode(full, body, key, algorithms=[alg])


@contextmanager
def running_issuer(*keys: Key) -> Iterator[FakeIssuer]:
    """Serve an issuer on a random loopback port."""

    class Handler(BaseHTTPRequestHandler):
        issuer: ClassVar[FakeIssuer]

        def do_GET(self) -> None:
            status, headers, body = self.issuer.respond(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.issuer = FakeIssuer(f"http://127.0.0.1:{server.server_port}", list(keys))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Handler.issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def alice(**more: object) -> dict[str, object]:
    return {"sub": "u-1", "email": "alice@acme.example", "email_verified": True, **more}


def github(**more: object) -> dict[str, object]:
    """Claims of a GitHub Actions token for a tag build of acme/support-agent."""
    workflow = "acme/support-agent/.github/workflows/release.yml@refs/tags/v1.0.0"
    return {
        "sub": "repo:acme/support-agent:ref:refs/tags/v1.0.0",
        "repository": "acme/support-agent",
        "repository_id": "101",
        "repository_owner": "acme",
        "repository_owner_id": "7",
        "repository_visibility": "private",
        "ref": "refs/tags/v1.0.0",
        "sha": SHA,
        "workflow_ref": workflow,
        "workflow_sha": SHA,
        "job_workflow_ref": workflow,
        "job_workflow_sha": SHA,
        "runner_environment": "github-hosted",
        "event_name": "push",
        "run_id": "42",
        "run_attempt": "1",
        "actor": "alice",
        "actor_id": "11",
        **more,
    }


def make_verifier(clock: Clock, *rules: IssuerRule) -> OidcVerifier:
    """Wire a verifier over real HTTP."""
    return OidcVerifier(
        rules, audience=REGISTRY, fetch=HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS)), clock=clock
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another thread's step; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen")
        threading.Event().wait(0.001)
