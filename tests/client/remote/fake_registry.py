"""A registry in memory behind httpx2's mock transport: the Distribution API, tokens, and every way to misbehave."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from tidegate.digest import Digest
from tidegate.formats.manifest import Descriptor, Manifest, evidence_manifest
from tidegate.formats.mediatypes import OCI_INDEX, OCI_MANIFEST
from tidegate.remote.address import RegistryAddress
from tidegate.remote.registry import Registry
from tidegate.remote.tokens import Identity

HOST = "127.0.0.1:5000"
NAME = "acme/support-agent"
Handler = Callable[[httpx2.Request], "httpx2.Response | None"]


@dataclass
class FakeRegistry:
    """`before` handlers may answer a request first, raise, or give None to let it through."""

    host: str = HOST
    needs_token: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    referrers: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    requests: list[httpx2.Request] = field(default_factory=list)
    before: list[Handler] = field(default_factory=list)
    page_size: int = 1000
    knows_ranges: bool = True
    waits: list[float] = field(default_factory=list)
    hosts: dict[str, list[str]] = field(default_factory=dict)

    def registry(self, identity: Identity | None = None) -> Registry:
        """Give a client of this registry; waiting is noted in `waits`, not done."""
        client = httpx2.Client(transport=httpx2.MockTransport(self.handle), headers={"Accept-Encoding": "identity"})
        address = RegistryAddress.parse(self.host)
        return Registry(address, client, identity, sleep=self.waits.append, monotonic=lambda: 0.0, resolve=self.resolve)

    def resolve(self, host: str) -> list[str]:
        """Know the names of `hosts`; every other one is at a public address."""
        return self.hosts.get(host, ["93.184.215.14"])

    def put_blob(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        self.blobs[digest] = data
        return digest

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._handle(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=httpx2.ByteStream(answer.content))

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        for handler in self.before:
            answer = handler(request)
            if answer is not None:
                return answer
        if request.url.path == "/v2/token":
            return self._token(request)
        if self.needs_token and not request.headers.get("authorization", "").startswith("Bearer token-for-"):
            challenge = f'Bearer realm="http://{self.host}/v2/token",service="http://{self.host}"'
            return oci_error(401, "UNAUTHORIZED", "who are you?", headers={"WWW-Authenticate": challenge})
        return self._answer(request)

    def seen(self, method: str, fragment: str = "") -> list[httpx2.Request]:
        return [r for r in self.requests if r.method == method and fragment in str(r.url)]

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        authorization = request.headers.get("authorization", "")
        user = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else "anonymous"
        if user == "oidc:expired":
            return oci_error(401, "UNAUTHORIZED", "the identity token has expired")
        scopes = "+".join(request.url.params.get_list("scope"))
        return httpx2.Response(200, json={"token": f"token-for-{user}-{scopes}", "expires_in": 300})

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/v2/":
            return httpx2.Response(200, json={})
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/(.*)", path):
            return self._upload(request, match[1])
        if match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:.+)", path):
            return self._blob(request, match[2])
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            return self._manifest(request, match[2])
        if match := re.fullmatch(r"/v2/(.+)/referrers/(.+)", path):
            return self._page(request, self.referrers.get(match[2], []), "manifests")
        if re.fullmatch(r"/v2/(.+)/tags/list", path):
            return self._page(request, [tag for tag in self.manifests if ":" not in tag], "tags")
        return oci_error(404, "NAME_UNKNOWN", "no such thing")

    def _upload(self, request: httpx2.Request, name: str) -> httpx2.Response:
        if request.method == "POST":
            return httpx2.Response(202, headers={"Location": f"/v2/{name}/blobs/uploads/u1?state=1"})
        data = request.read()
        if Digest.of(data) != request.url.params["digest"]:
            return oci_error(400, "DIGEST_INVALID", "those are other bytes")
        self.put_blob(data)
        return httpx2.Response(201, headers={"Docker-Content-Digest": Digest.of(data)})

    def _blob(self, request: httpx2.Request, digest: str) -> httpx2.Response:
        data = self.blobs.get(digest)
        if data is None:
            return oci_error(404, "BLOB_UNKNOWN", "no such blob")
        if request.method == "HEAD":
            return httpx2.Response(200)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        if asked is None or not self.knows_ranges:
            return httpx2.Response(200, content=data)
        start, last = int(asked[1]), int(asked[2])
        return httpx2.Response(
            206, content=data[start : last + 1], headers={"Content-Range": f"bytes {start}-{last}/{len(data)}"}
        )

    def _manifest(self, request: httpx2.Request, reference: str) -> httpx2.Response:
        if request.method == "PUT":
            raw = request.read()
            self.manifests[reference] = (request.headers["content-type"], raw)
            self.manifests[Digest.of(raw)] = self.manifests[reference]
            return httpx2.Response(201, headers={"Docker-Content-Digest": Digest.of(raw), "Tidegate-Event-Id": "e-1"})
        if reference not in self.manifests:
            return oci_error(404, "MANIFEST_UNKNOWN", "no such manifest")
        media_type, raw = self.manifests[reference]
        body = b"" if request.method == "HEAD" else raw
        return httpx2.Response(200, content=body, headers={"Content-Type": media_type})

    def _page(
        self, request: httpx2.Request, items: list[object] | list[dict[str, object]] | list[str], key: str
    ) -> httpx2.Response:
        start = int(request.url.params.get("after", "0"))
        page = items[start : start + self.page_size]
        body = (
            {"schemaVersion": 2, "mediaType": OCI_INDEX, key: page} if key == "manifests" else {"name": "n", key: page}
        )
        more = start + self.page_size < len(items)
        link = {"Link": f'<{request.url.path}?after={start + self.page_size}>; rel="next"'} if more else {}
        return httpx2.Response(200, content=json.dumps(body).encode(), headers=link)


def oci_error(
    status: int, code: str, message: str, detail: object = None, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Answer with an OCI error."""
    error = {"code": code, "message": message, "detail": detail}
    return httpx2.Response(status, json={"errors": [error]}, headers=headers)


def blob(data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", Digest.of(data), len(data))


def some_manifest() -> Manifest:
    return evidence_manifest(b"bundle", Descriptor(OCI_MANIFEST, Digest.of(b"x"), 1), "https://example.org/p")


def identity_noting(asked: list[str]) -> Callable[[str], str]:
    def identity(audience: str) -> str:
        asked.append(audience)
        return "ID"

    return identity
