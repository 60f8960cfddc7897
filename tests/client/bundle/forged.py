"""Bundles as an attacker makes them: everything that can be made to agree agrees, except the lie itself."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from tidegate.bundle.build import Built
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, NotFound
from tidegate.formats.config import AgentConfig
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, AGENT_CONFIG, OCI_MANIFEST


class OneWay(io.RawIOBase):
    """A stream like a network's: not seekable, and it gives less than was asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), len(self._data), 1000)
        buffer[:count], self._data = self._data[:count], self._data[count:]
        return count


class Forged:
    """A bundle to edit: `config` is the JSON of its config blob, `manifest` members win over those made of it."""

    def __init__(self, built: Built) -> None:
        self.config = parse_object(built.config.canonical(), limit=1 << 20, what="config")
        self.blobs = {blob.digest: built.layout.read_blob(blob.digest, 1 << 24) for blob in built.manifest.blobs}
        self.manifest: JsonObject = {}
        self.annotations: dict[str, str] = {}
        self.honest_behaviour = True

    def list_of(self, member: str) -> list[JsonObject]:
        """Give a list of the config, such as its files."""
        return cast("list[JsonObject]", self.config[member])

    def component(self, kind: str) -> JsonObject:
        """Give the first component of that kind."""
        return next(component for component in self.list_of("components") if component["kind"] == kind)

    def file(self, path: str) -> JsonObject:
        """Give the entry of that file."""
        return next(entry for entry in self.list_of("files") if entry["path"] == path)

    def layer(self, kind: str) -> bytes:
        """Give the bytes of a layer."""
        return self.blobs[Digest(str(self.component(kind)["digest"]))]

    def put_layer(self, kind: str, raw: bytes) -> None:
        """Give a component other bytes; its size still is what the file list says."""
        digest = Digest.of(raw)
        self.blobs[digest] = raw
        self.component(kind)["digest"] = str(digest)

    def seal(self, raw_config: bytes | None = None) -> Manifest:
        """Make the manifest; digests, and the behavioural version, are computed as far as they can be."""
        if self.honest_behaviour and raw_config is None:
            self._compute_behaviour()
        raw = canonical_bytes(self.config) if raw_config is None else raw_config
        digest = Digest.of(raw)
        self.blobs[digest] = raw
        document: JsonObject = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": AGENT_BUNDLE,
            "config": {"mediaType": AGENT_CONFIG, "digest": str(digest), "size": len(raw)},
            "layers": [_descriptor(component) for component in self.list_of("components")],
            "annotations": {
                "org.opencontainers.image.title": str(self.config["name"]),
                "org.opencontainers.image.version": str(self.config["version"]),
                "dev.tidegate.agent.behaviour": str(self.config["behaviour"]),
                **self.annotations,
            },
        }
        return Manifest.parse(canonical_bytes(document | self.manifest))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """Give a blob as a stream."""
        if digest not in self.blobs:
            raise NotFound("there is no such blob", code="blob-missing", found=digest)
        return cast("BinaryIO", OneWay(self.blobs[digest]))

    def _compute_behaviour(self) -> None:
        try:
            config = AgentConfig.parse(canonical_bytes(self.config))
        except BundleRefused:
            return
        self.config["behaviour"] = str(config.computed_behaviour())


def _descriptor(component: JsonObject) -> JsonObject:
    descriptor: JsonObject = {
        "mediaType": component["mediaType"],
        "digest": component["digest"],
        "size": component["size"],
    }
    if "path" in component:
        descriptor["annotations"] = {"org.opencontainers.image.title": component["path"]}
    return descriptor
