"""The shapes in which clients attach bundles: three are taken, everything near them is refused with its step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, MAX_REFERRER_BYTES, Descriptor, Manifest, evidence_manifest
from tidegate.formats.mediatypes import (
    AGENT_BUNDLE,
    OCI_INDEX,
    OCI_MANIFEST,
    PREDICATE_COSIGN_SIGN,
    SIGSTORE_BUNDLE,
)
from tidegate_registry.evidence.referrer import MAX_CONFIG_BYTES, check_annotations, check_referrer, claims_evidence

LIMIT = 1000
SUBJECT = Descriptor(OCI_MANIFEST, Digest.of(b"subject"), 7)
LAYER = Descriptor(SIGSTORE_BUNDLE, Digest.of(b"bundle"), 6)


@dataclass(frozen=True)
class Shape:
    """A referrer's parts; cosign's by default."""

    artifact_type: str | None = SIGSTORE_BUNDLE
    config: dict[str, object] = field(default_factory=lambda: {**EMPTY_DESCRIPTOR.as_json()})
    layers: tuple[Descriptor, ...] = (LAYER,)
    subject: Descriptor | None = SUBJECT
    annotations: tuple[tuple[str, str], ...] = ()
    media_type: str = OCI_MANIFEST

    def manifest(self) -> Manifest:
        document: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "annotations": dict(self.annotations),
        }
        if self.media_type == OCI_INDEX:
            document["manifests"] = []
        else:
            document |= {"config": self.config, "layers": [layer.as_json() for layer in self.layers]}
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.subject:
            document["subject"] = self.subject.as_json()
        return Manifest.parse(json.dumps(document).encode())


COSIGN = Shape(
    config={**EMPTY_DESCRIPTOR.as_json(), "artifactType": SIGSTORE_BUNDLE},
    annotations=(
        ("dev.sigstore.bundle.content", "dsse-envelope"),
        ("dev.sigstore.bundle.predicateType", PREDICATE_COSIGN_SIGN),
        ("org.opencontainers.image.created", "2026-01-01T00:00:00Z"),
    ),
)
JAVASCRIPT = Shape(annotations=COSIGN.annotations[:2])
OLDER_ORAS = Shape(artifact_type=None, config={**EMPTY_DESCRIPTOR.as_json(), "mediaType": SIGSTORE_BUNDLE})


@pytest.mark.parametrize("shape", [COSIGN, JAVASCRIPT, OLDER_ORAS], ids=["cosign", "@sigstore/oci", "config's type"])
def test_the_shapes_that_clients_write_are_taken(shape: Shape) -> None:
    manifest = shape.manifest()
    assert claims_evidence(manifest)
    referrer = check_referrer(manifest, limit=LIMIT)
    assert (referrer.subject.digest, referrer.bundle) == (SUBJECT.digest, LAYER)
    check_annotations(referrer, PREDICATE_COSIGN_SIGN)


def test_our_own_shape_is_taken() -> None:
    manifest = evidence_manifest(b"bundle", SUBJECT, PREDICATE_COSIGN_SIGN)
    assert claims_evidence(manifest)
    check_annotations(check_referrer(manifest, limit=LIMIT), PREDICATE_COSIGN_SIGN)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(artifact_type="application/vnd.example.sbom"),
        Shape(artifact_type=AGENT_BUNDLE),
        Shape(artifact_type=None),
        Shape(artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json"),
        Shape(subject=None),
    ],
    ids=["sbom", "agent", "no type", "legacy cosign", "no subject"],
)
def test_other_artifacts_claim_nothing(shape: Shape) -> None:
    assert not claims_evidence(shape.manifest())


LEGACY = "application/vnd.dev.sigstore.bundle+json;version=0.2"


@pytest.mark.parametrize(
    ("shape", "step", "code"),
    [
        (Shape(media_type=OCI_INDEX), "E1", "referrer-subject"),
        (Shape(subject=replace(SUBJECT, digest=Digest.of(b"x", "sha512"))), "E1", "referrer-subject"),
        (Shape(artifact_type=LEGACY), "E2", "referrer-type"),
        (Shape(artifact_type="application/vnd.dev.sigstore.bundle.v0.4+json"), "E2", "referrer-type"),
        (Shape(layers=()), "E3", "referrer-layers"),
        (Shape(layers=(LAYER, LAYER)), "E3", "referrer-layers"),
        (Shape(layers=(replace(LAYER, media_type="application/json"),)), "E3", "referrer-layers"),
        (Shape(config={**LAYER.as_json(), "mediaType": "application/vnd.x+json"}), "E4", "referrer-config"),
        (Shape(config={**EMPTY_DESCRIPTOR.as_json(), "size": MAX_CONFIG_BYTES + 1}), "E4", "referrer-config"),
        (Shape(layers=(replace(LAYER, size=LIMIT + 1),)), "E5", "bundle-too-large"),
        (Shape(annotations=(("padding", "x" * MAX_REFERRER_BYTES),)), "E8", "referrer-too-large"),
    ],
)
def test_what_is_nearly_such_a_shape_is_refused(shape: Shape, step: str, code: str) -> None:
    manifest = shape.manifest()
    assert claims_evidence(manifest)
    with pytest.raises(EvidenceRefused) as caught:
        check_referrer(manifest, limit=LIMIT)
    assert (caught.value.reasons[0].step, caught.value.reasons[0].code) == (step, code)


@pytest.mark.parametrize(
    "annotations",
    [
        (("dev.sigstore.bundle.predicateType", "https://slsa.dev/provenance/v1"),),
        (("dev.sigstore.bundle.content", "message-signature"),),
    ],
)
def test_annotations_that_are_not_true_are_refused(annotations: tuple[tuple[str, str], ...]) -> None:
    referrer = check_referrer(Shape(annotations=annotations).manifest(), limit=LIMIT)
    with pytest.raises(EvidenceRefused) as caught:
        check_annotations(referrer, PREDICATE_COSIGN_SIGN)
    assert (caught.value.reasons[0].step, caught.value.reasons[0].code) == ("E6", "referrer-annotations")
