"""Tidegate's direct uploads and the store behind them, as a client sees them. Sessions and parts, no signatures."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import httpx2

from tests.client.remote.fake_registry import NAME, FakeRegistry
from tidegate.digest import Digest
from tidegate.formats.jcs import parse_object

API = f"/api/v1/agents/{NAME}/uploads"
STORE = "store.example"


@dataclass
class FakeStore:
    """Answers for the store's host and for the upload routes of `fake`. Blobs above `single` bytes go in parts.

    `objects`: what the store has, not yet committed. `link`: host and headers put into links, to lie. `busy`: so many
    commits are answered 409. `after_plan` is done once.
    """

    fake: FakeRegistry
    single: int = 100
    part: int = 40
    url: str = f"http://{STORE}/b"
    headers: Mapping[str, object] | None = None
    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    puts: list[httpx2.Request] = field(default_factory=list)
    plans: int = 0
    statuses: list[int | Exception] = field(default_factory=list)
    busy: int = 0
    busy_code: str = "upload-busy"
    after_plan: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.fake.before.append(self.handle)

    def handle(self, request: httpx2.Request) -> httpx2.Response | None:
        if request.method == "PUT" and not request.url.path.startswith("/v2/"):
            return self._put(request)
        known = "authorization" in request.headers or not self.fake.needs_token
        if not request.url.path.startswith(API) or not known:
            return None
        body = cast(
            "dict[str, list[dict[str, object]]]", parse_object(request.read() or b"{}", limit=1 << 20, what="it")
        )
        match request.method, request.url.path.removeprefix(API):
            case "POST", "":
                self.plans += 1
                planned = [self._plan(blob) for blob in body["blobs"]]
                done, self.after_plan = self.after_plan, lambda: None
                done()
                return httpx2.Response(200, json={"blobs": planned})
            case "POST", "/parts":
                return httpx2.Response(200, json={"parts": [self._link_part(part) for part in body["parts"]]})
            case "POST", "/commit" if self.busy:
                self.busy -= 1
                reasons = [{"code": self.busy_code, "message": "another request is writing to this upload"}]
                return httpx2.Response(409, json={"detail": "not now", "reasons": reasons})
            case "POST", "/commit":
                return httpx2.Response(200, json={"blobs": [self._commit(blob) for blob in body["blobs"]]})
            case _:
                stored = [{"number": number, "size": len(part)} for number, part in self.parts.items()]
                return httpx2.Response(200, json={"stored": stored})

    def _plan(self, blob: dict[str, object]) -> dict[str, object]:
        digest, size = blob["digest"], blob["size"]
        assert isinstance(digest, str)
        assert isinstance(size, int)
        if digest in self.fake.blobs:
            return {"digest": digest, "state": "present"}
        if size > self.single:
            cut = {"partBytes": self.part, "parts": -(-size // self.part)}
            return {"digest": digest, "state": "missing", "multipart": cut, "session": "s-1"}
        return {"digest": digest, "state": "missing", "put": self._link(digest), "session": None}

    def _link(self, digest: str) -> dict[str, object]:
        checksum = base64.b64encode(bytes.fromhex(digest.partition(":")[2])).decode()
        headers = {"x-amz-checksum-sha256": checksum, "If-None-Match": "*"} if self.headers is None else self.headers
        return {"url": f"{self.url}/{digest}", "headers": headers}

    def _link_part(self, part: dict[str, object]) -> dict[str, object]:
        return {"number": part["number"], **self._link(str(part["sha256"])), "url": f"{self.url}/part/{part['number']}"}

    def _put(self, request: httpx2.Request) -> httpx2.Response:
        self.puts.append(request)
        data = request.read()
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        if status != 200:
            return httpx2.Response(status, content=b"<Error><Code>AccessDenied</Code></Error>")
        checksum = request.headers.get("x-amz-checksum-sha256")
        if checksum is not None and base64.b64decode(checksum) != hashlib.sha256(data).digest():
            return httpx2.Response(400, content=b'<?xml version="1.0"?><Error><Code>BadDigest</Code></Error>')
        if "/part/" in request.url.path:
            self.parts[int(request.url.path.rpartition("/")[2])] = data
        else:
            self.objects[Digest.of(data)] = data
        return httpx2.Response(200)

    def _commit(self, blob: dict[str, object]) -> dict[str, object]:
        digest = str(blob["digest"])
        if blob.get("session"):
            self.objects[digest] = b"".join(self.parts[number] for number in sorted(self.parts))
        data = self.objects.get(digest)
        there = digest in self.fake.blobs or (data is not None and Digest.of(data) == digest)
        if data is not None and there:
            self.fake.put_blob(data)
        return {"digest": digest, "state": "present" if there else "missing"}
