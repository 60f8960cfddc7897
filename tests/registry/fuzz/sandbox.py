"""Every endpoint of the sandbox that reads what somebody sent, as the ASGI server hands it on: bytes of one part."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rfc3161_client import TimestampRequestBuilder
from starlette.types import ASGIApp, Message

from tests.fuzzing import Target
from tidegate_registry.sandbox import tsa
from tidegate_registry.sandbox.login import OUT_OF_BAND
from tidegate_registry.sandbox.rekor import KEY_DETAILS
from tidegate_registry.sandbox.sigstore import SigstoreInstance

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
KEY = ec.generate_private_key(ec.SECP256R1())
EMAIL = "alice@sandbox.example"
SERVER_ERROR = 500
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Sandbox:
    """A running application without a socket; `loop` runs one request at a time."""

    instance: SigstoreInstance
    app: ASGIApp
    loop: asyncio.Runner

    def ask(self, method: str, path: str, *, query: bytes = b"", headers: Headers = (), body: bytes = b"") -> Answer:
        """Send a request. Fails when the application does: nothing that is sent may be a fault of the server."""
        answer = self.loop.run(
            _ask(self.app, method, path, query=query, headers=[(b"host", b"127.0.0.1:1"), *headers], body=body)
        )
        assert answer.status < SERVER_ERROR, answer
        return answer

    def post(self, path: str, kind: bytes) -> Callable[[bytes], Answer]:
        """Give a function that sends bytes as a body of content type `kind`, with a token that counts."""
        token = f"Bearer {self.instance.mint_token('alice')}".encode()
        return lambda raw: self.ask(
            "POST", path, headers=[(b"content-type", kind), (b"authorization", token)], body=raw
        )

    def get(self, path: str) -> Callable[[bytes], Answer]:
        """Give a function that sends bytes as the query."""
        return lambda raw: self.ask("GET", path, query=raw)

    def post_job(self, raw: bytes) -> Answer:
        secret = f"Bearer {self.instance.admin_secret}".encode()
        return self.ask("POST", "/ci/jobs", headers=[(b"content-type", JSON), (b"authorization", secret)], body=raw)

    def get_tile(self, raw: bytes) -> Answer:
        """The server decodes a path before the application sees it."""
        return self.ask("GET", f"/api/v2/tile/{raw.decode(errors='replace')}")

    def authorize_client(self, raw: bytes) -> Answer:
        """The Authorization header of the token endpoint."""
        body = urlencode({"grant_type": "authorization_code", "code": "x"}).encode()
        return self.ask("POST", "/token", headers=[(b"authorization", raw), (b"content-type", FORM)], body=body)

    def show_identity(self, raw: bytes) -> Answer:
        """The Authorization header of the certificate authority."""
        headers = [(b"content-type", JSON), (b"authorization", raw)]
        return self.ask("POST", "/api/v2/signingCert", headers=headers, body=b"{}")


async def _ask(app: ASGIApp, method: str, path: str, *, query: bytes, headers: Headers, body: bytes) -> Answer:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }
    status, parts = 0, []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(parts))


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _csr() -> bytes:
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(KEY, hashes.SHA256())
    return json.dumps({"certificateSigningRequest": _b64(made.public_bytes(Encoding.PEM))}).encode()


def _proven() -> bytes:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    proof = _b64(KEY.sign(EMAIL.encode(), ec.ECDSA(hashes.SHA256())))
    request = {"publicKey": {"algorithm": "ECDSA", "content": pem}, "proofOfPossession": proof}
    return json.dumps({"publicKeyRequest": request}).encode()


def _entry(name: str, der: bytes) -> bytes:
    verifier = {name: {"rawBytes": _b64(der)}, "keyDetails": KEY_DETAILS}
    signature = {"content": _b64(KEY.sign(b"a", ec.ECDSA(hashes.SHA256()))), "verifier": verifier}
    digest = _b64(hashlib.sha256(b"a").digest())
    return json.dumps({"hashedRekordRequestV002": {"digest": digest, "signature": signature}}).encode()


def _timestamp_request() -> bytes:
    return json.dumps({"artifactHash": _b64(bytes(32)), "hashAlgorithm": "sha256", "nonce": 5}).encode()


AUTHORIZE = {
    "response_type": "code",
    "client_id": "sigstore",
    "redirect_uri": OUT_OF_BAND,
    "state": "s",
    "code_challenge": "a" * 43,
    "code_challenge_method": "S256",
    "login_hint": "alice",
}
CODE = {"grant_type": "authorization_code", "code": "x", "code_verifier": "v", "redirect_uri": OUT_OF_BAND}


def make_targets(sandbox: Sandbox) -> dict[str, Target]:
    """Give the targets by name; the names are NAMES. What answers below 400 is what the seed is for."""
    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    leaf = sandbox.instance.issue_certificate("alice", KEY.public_key()).public_bytes(Encoding.DER)
    token = sandbox.instance.mint_token("alice").encode()
    leaf_hash = quote(_b64(bytes(32)))
    made = (
        Target("certificate, by CSR", sandbox.post("/api/v2/signingCert", JSON), _csr()),
        Target("certificate, by proven key", sandbox.post("/api/v2/signingCert", JSON), _proven()),
        Target("identity token", sandbox.show_identity, b"Bearer " + token),
        Target("entry, by key", sandbox.post("/api/v2/log/entries", JSON), _entry("publicKey", der)),
        Target("entry, by certificate", sandbox.post("/api/v2/log/entries", JSON), _entry("x509Certificate", leaf)),
        Target("tile", sandbox.get_tile, b"0/000.p/1"),
        Target("consistency proof", sandbox.get("/ct/v1/get-sth-consistency"), b"first=1&second=1"),
        Target("proof by hash", sandbox.get("/ct/v1/get-proof-by-hash"), f"tree_size=1&hash={leaf_hash}".encode()),
        Target("log entries", sandbox.get("/ct/v1/get-entries"), b"start=0&end=0"),
        Target(
            "timestamp in DER",
            sandbox.post(tsa.PATH, tsa.REQUEST_TYPE.encode()),
            TimestampRequestBuilder().data(b"a").nonce(nonce=True).build().as_bytes(),
        ),
        Target("timestamp in JSON", sandbox.post(tsa.PATH, JSON), _timestamp_request()),
        Target("authorization", sandbox.get("/authorize"), urlencode(AUTHORIZE).encode()),
        Target("code exchange", sandbox.post("/token", FORM), urlencode(CODE).encode()),
        Target("client credentials", sandbox.authorize_client, b"Basic " + base64.b64encode(b"sigstore:")),
        Target("login", sandbox.post("/sandbox/login", JSON), b'{"user": "alice", "audience": "sigstore"}'),
        Target("CI job", sandbox.post_job, b'{"repository": "acme/a", "ref": "refs/tags/v1", "event": "push"}'),
        Target("CI token's audience", sandbox.get("/ci/token"), b"audience=sigstore"),
    )
    assert {target.name for target in made} == set(NAMES)
    return {target.name: target for target in made}


# answered with an error even when well formed: they need a leaf hash, a code or a job that only this run knows
REFUSED = frozenset({"identity token", "proof by hash", "code exchange", "client credentials", "CI token's audience"})
NAMES = (
    "certificate, by CSR",
    "certificate, by proven key",
    "identity token",
    "entry, by key",
    "entry, by certificate",
    "tile",
    "consistency proof",
    "proof by hash",
    "log entries",
    "timestamp in DER",
    "timestamp in JSON",
    "authorization",
    "code exchange",
    "client credentials",
    "login",
    "CI job",
    "CI token's audience",
)
