"""OCI image manifests and indexes: limits first, then shape; the exact bytes are kept and are what is hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, JsonInvalid, ManifestInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.mediatypes import (
    ANNOTATION_BUNDLE_CONTENT,
    ANNOTATION_PREDICATE_TYPE,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    SIGSTORE_BUNDLE,
)

MAX_MANIFEST_BYTES = 4 << 20  # OCI distribution-spec 1.1, "Pushing manifests": registries should accept at least 4 MB
MAX_REFERRERS = 1000  # of one manifest; a release with weekly scans for ten years has half of that
MAX_REFERRER_BYTES = 16 << 10  # a manifest that attaches a Sigstore bundle; what cosign v3 writes has about 1 KiB
MAX_LISTED_BYTES = 4 * MAX_REFERRER_BYTES  # the same for those who read, from registries that bound nothing
MAX_LAYERS = 10_000  # one raw layer a weight file; the largest sharded models have a few hundred
MAX_BLOB_BYTES = 5 << 40  # S3: largest object
IMAGE_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
EMPTY_BLOB = b"{}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Media type, digest and size in bytes of some content. Source: OCI image-spec 1.1, descriptor."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.artifact_type is not None:
            result["artifactType"] = self.artifact_type
        if self.annotations:
            result["annotations"] = dict(self.annotations)
        return result


EMPTY_DESCRIPTOR = Descriptor(OCI_EMPTY, Digest.of(EMPTY_BLOB), len(EMPTY_BLOB))


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or an index. `raw` is what was parsed, byte for byte; `digest` is computed from it.

    `config` is None and `layers` empty for an index; `manifests` is empty for an image manifest.
    """

    raw: bytes
    digest: Digest
    media_type: str
    artifact_type: str | None
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]

    @classmethod
    def parse(cls, raw: bytes, *, content_type: str | None = None, algorithm: str = "sha256") -> Manifest:
        """Parse `raw`, at most MAX_MANIFEST_BYTES. `content_type`: the HTTP header, must agree with `mediaType`.

        Raises ManifestInvalid with the path of the member that is wrong.
        """
        try:
            document = parse_object(raw, limit=MAX_MANIFEST_BYTES, what="the manifest")
        except JsonInvalid as error:
            raise ManifestInvalid(str(error), found=error.reasons[0].found) from error
        if document.get("schemaVersion") != 2:  # noqa: PLR2004 - OCI image-spec
            raise ManifestInvalid("schemaVersion is not 2", found=document.get("schemaVersion"), expected=2)
        media_type = _media_type(document, content_type)
        is_index = media_type in INDEX_TYPES
        if not is_index and ("config" not in document or "layers" not in document):
            raise ManifestInvalid("an image manifest needs config and layers", found=", ".join(sorted(document)))
        if is_index and "manifests" not in document:
            raise ManifestInvalid("an index needs manifests", found=", ".join(sorted(document)))
        return cls(
            raw=raw,
            digest=Digest.of(raw, algorithm),
            media_type=media_type,
            artifact_type=_text(document, "artifactType"),
            config=None if is_index else _descriptor(document["config"], "config"),
            layers=() if is_index else _descriptors(document["layers"], "layers"),
            manifests=_descriptors(document["manifests"], "manifests") if is_index else (),
            subject=_descriptor(document["subject"], "subject") if document.get("subject") is not None else None,
            annotations=_annotations(document, "annotations"),
        )

    @property
    def is_index(self) -> bool:
        """Whether this is an index (a list of manifests) rather than an image manifest."""
        return self.media_type in INDEX_TYPES

    @property
    def effective_artifact_type(self) -> str | None:
        """What the referrers list says: `artifactType`, else the config's media type (distribution-spec 1.1)."""
        if self.artifact_type:
            return self.artifact_type
        return self.config.media_type if self.config else None

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, in order: the blobs that must be stored before the manifest is."""
        return (self.config, *self.layers) if self.config else ()

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw), self.artifact_type)


def image_manifest(
    *,
    artifact_type: str,
    config: Descriptor,
    layers: tuple[Descriptor, ...],
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Make an image manifest in canonical JSON, so that equal content has equal bytes."""
    document: JsonObject = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config.as_json(),
        "layers": [layer.as_json() for layer in layers],
    }
    if subject is not None:
        document["subject"] = Descriptor(subject.media_type, subject.digest, subject.size).as_json()
    if annotations:
        document["annotations"] = dict(annotations)
    return Manifest.parse(canonical_bytes(document))


def evidence_manifest(bundle: bytes, subject: Descriptor, predicate_type: str) -> Manifest:
    """Make the referrer that attaches a Sigstore bundle to `subject`, in the shape cosign v3 writes.

    No `created` annotation: the same bundle attached twice is the same manifest. Source: docs/spec/evidence.md.
    """
    return image_manifest(
        artifact_type=SIGSTORE_BUNDLE,
        config=EMPTY_DESCRIPTOR,
        layers=(Descriptor(SIGSTORE_BUNDLE, Digest.of(bundle), len(bundle)),),
        subject=subject,
        annotations={ANNOTATION_BUNDLE_CONTENT: "dsse-envelope", ANNOTATION_PREDICATE_TYPE: predicate_type},
    )


def _media_type(document: JsonObject, content_type: str | None) -> str:
    declared = _text(document, "mediaType")
    header = content_type.partition(";")[0].strip().lower() if content_type else None
    if declared and header and declared != header:
        raise ManifestInvalid("mediaType differs from the Content-Type header", found=declared, expected=header)
    media_type = declared or header or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    if media_type not in IMAGE_TYPES | INDEX_TYPES:
        raise ManifestInvalid("that media type is not supported", found=media_type, expected=OCI_MANIFEST)
    # the same bytes must not mean an index to one reader and an image to another (CVE-2021-41190)
    if "manifests" in document and ("layers" in document or "config" in document):
        raise ManifestInvalid("a manifest is an image or an index, not both", found="layers and manifests")
    return media_type


def _descriptors(value: JsonValue, path: str) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise ManifestInvalid(f"{path} is not a list", found=type(value).__name__)
    if len(value) > MAX_LAYERS:
        raise ManifestInvalid(f"{path} has too many members", found=len(value), expected=f"at most {MAX_LAYERS}")
    return tuple(_descriptor(item, f"{path}[{index}]") for index, item in enumerate(value))


def _descriptor(value: JsonValue, path: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{path} is not a descriptor", found=type(value).__name__, expected="an object")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str) or not media_type or len(media_type) > 255:  # noqa: PLR2004 - RFC 6838
        raise ManifestInvalid(f"{path}.mediaType is missing or no media type", found=media_type)
    if type(size) is not int or not 0 <= size <= MAX_BLOB_BYTES:
        raise ManifestInvalid(f"{path}.size is missing or no size in bytes", found=size)
    try:
        parsed = Digest.parse(digest if isinstance(digest, str) else "")
    except DigestInvalid as error:
        raise ManifestInvalid(f"{path}.digest is not a digest", found=digest, expected="sha256:<hex>") from error
    return Descriptor(
        media_type, parsed, size, _text(value, "artifactType", path), _annotations(value, f"{path}.annotations")
    )


def _annotations(document: JsonObject, path: str) -> Mapping[str, str]:
    value = document.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{path} is not an object", found=type(value).__name__)
    texts = {key: text for key, text in value.items() if isinstance(text, str)}
    if len(texts) != len(value):
        raise ManifestInvalid(f"{path} holds something that is not text", found=", ".join(value.keys() - texts.keys()))
    return texts


def _text(document: JsonObject, key: str, path: str = "") -> str | None:
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 255:  # noqa: PLR2004 - RFC 6838 section 4.2
        raise ManifestInvalid(f"{path}.{key} is not a media type".lstrip("."), found=str(value)[:80])
    return value
