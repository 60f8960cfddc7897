"""What the tests of the OCI protocol push: manifests written as other tools write them, not in our canonical form.

Everything is made from literal bytes, so that each test says what the Distribution Spec says and nothing of our own
code is asked for the answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from itertools import count

import httpx2

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCTETS = "application/octet-stream"

Json = dict[str, object]
_numbers = count(1)


def unique(size: int = 100) -> bytes:
    """Bytes that nobody pushed before, `size` of them."""
    seed = f"content number {next(_numbers)} ".encode()
    return (seed * (size // len(seed) + 1))[:size]


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def describe(
    content: bytes, media_type: str = OCTETS, *, algorithm: str = "sha256", data: bool = False, **members: object
) -> Json:
    """A descriptor of `content`; with `data`, the content itself is in it."""
    embedded: Json = {"data": base64.b64encode(content).decode()} if data else {}
    return {
        "mediaType": media_type,
        "digest": digest_of(content, algorithm),
        "size": len(content),
        **embedded,
        **members,
    }


@dataclass(frozen=True)
class Pushable:
    """A manifest and what must be there before it: `blobs`, and for an index its `members`."""

    raw: bytes
    media_type: str
    algorithm: str = "sha256"
    blobs: tuple[bytes, ...] = ()
    members: tuple[Pushable, ...] = ()
    artifact_type: str | None = None
    annotations: Json = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return digest_of(self.raw, self.algorithm)

    @property
    def descriptor(self) -> Json:
        return describe(self.raw, self.media_type, algorithm=self.algorithm)

    @property
    def as_referrer(self) -> Json:
        """The descriptor that a referrers list must show."""
        shown: Json = dict(self.descriptor)
        if self.artifact_type is not None:
            shown["artifactType"] = self.artifact_type
        if self.annotations:
            shown["annotations"] = self.annotations
        return shown

    def push(
        self, client: httpx2.Client, repository: str, reference: str | None = None, **params: object
    ) -> httpx2.Response:
        """Push blobs, members and manifest; give the answer to the last PUT."""
        for content in self.blobs:
            push_blob(client, repository, content, self.algorithm)
        for member in self.members:
            assert member.push(client, repository).status_code == 201
        return self.put(client, repository, reference, **params)

    def put(
        self, client: httpx2.Client, repository: str, reference: str | None = None, **params: object
    ) -> httpx2.Response:
        return client.put(
            f"/v2/{repository}/manifests/{reference or self.digest}",
            content=self.raw,
            headers={"Content-Type": self.media_type},
            params=params,  # type: ignore[arg-type]
        )


def image_with(
    members: Json,
    *layers: bytes,
    config: bytes | None = None,
    config_type: str = OCI_CONFIG,
    layer_type: str = OCI_LAYER,
    algorithm: str = "sha256",
    data: bool = False,
) -> Pushable:
    """An image or artifact manifest; `members` go into it as they are, None for "leave this one out"."""
    config = unique() if config is None else config
    document: Json = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": describe(config, config_type, algorithm=algorithm, data=data),
        "layers": [describe(layer, layer_type, algorithm=algorithm, data=data) for layer in layers],
    }
    return _pushable(document | members, algorithm, blobs=(config, *layers), default_type=config_type)


def image(*layers: bytes, algorithm: str = "sha256", **members: object) -> Pushable:
    return image_with(members, *layers, algorithm=algorithm)


def artifact(kind: str, content: bytes | None = None, **members: object) -> Pushable:
    """An artifact as image-spec 1.1 recommends: `artifactType`, empty config, one layer."""
    layer = unique() if content is None else content
    members = {"artifactType": kind} | members
    return image_with(members, layer, config=b"{}", config_type=OCI_EMPTY, layer_type=kind)


def index(*manifests: Pushable, algorithm: str = "sha256", **members: object) -> Pushable:
    document: Json = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            each.descriptor | {"platform": {"os": "linux", "architecture": f"a{number}"}}
            for number, each in enumerate(manifests)
        ],
    }
    return _pushable(document | members, algorithm, members=manifests)


def push_blob(client: httpx2.Client, repository: str, content: bytes, algorithm: str = "sha256") -> str:
    digest = digest_of(content, algorithm)
    answer = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest}, content=content)
    assert answer.status_code == 201, answer.text
    return digest


def codes(answer: httpx2.Response) -> list[str]:
    """The codes of an error, after a look at the shape that the spec gives an error's body."""
    errors: list[dict[str, object]] = answer.json()["errors"]
    assert answer.headers["content-type"] == "application/json"
    assert errors
    for error in errors:
        assert error.keys() <= {"code", "message", "detail"}
        assert isinstance(error.get("message", ""), str)
    return [str(error["code"]) for error in errors]


def _pushable(
    document: Json,
    algorithm: str,
    *,
    blobs: tuple[bytes, ...] = (),
    members: tuple[Pushable, ...] = (),
    default_type: str | None = None,
) -> Pushable:
    document = {key: value for key, value in document.items() if value is not None}
    annotations, kind = document.get("annotations", {}), document.get("artifactType", default_type)
    assert isinstance(annotations, dict)
    assert kind is None or isinstance(kind, str)
    media_type = OCI_IMAGE if "layers" in document else OCI_INDEX
    raw = json.dumps(document, indent=2).encode()
    return Pushable(raw, media_type, algorithm, blobs, members, kind, annotations)
