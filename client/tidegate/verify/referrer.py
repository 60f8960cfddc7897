"""How a manifest that attaches a Sigstore bundle is read: what it is about, what it brings, what it claims. Pure.

Hosts read such a referrer in steps V3 and V4, the registry in E1 to E6. Nothing here decides: a reader that asks for
what is not there gets a refusal. Source: docs/spec/evidence.md, "The shape".
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.manifest import Descriptor, Manifest
from tidegate.formats.mediatypes import (
    ANNOTATION_BUNDLE_CONTENT,
    ANNOTATION_PREDICATE_TYPE,
    PREDICATE_VSA,
    SIGSTORE_BUNDLE,
)
from tidegate.verify.steps import bounded


@dataclass(frozen=True, slots=True)
class BundleReferrer:
    """A manifest, read as one that attaches a Sigstore bundle."""

    manifest: Manifest

    @property
    def is_bundle(self) -> bool:
        """Whether its type says that it attaches a bundle of the version that is read here."""
        return self.manifest.effective_artifact_type == SIGSTORE_BUNDLE

    @property
    def is_summary(self) -> bool:
        """Whether its author says that it sums up a registry's decision (a VSA): that is no evidence of anything."""
        return self.is_bundle and self.claimed_type == PREDICATE_VSA

    @property
    def has_one_bundle(self) -> bool:
        """Whether it has exactly one layer, a bundle."""
        return [layer.media_type for layer in self.manifest.layers] == [SIGSTORE_BUNDLE]

    @property
    def bundle(self) -> Descriptor:
        """The bundle. Raises EvidenceRefused (code "referrer-shape") unless it `has_one_bundle`."""
        if not self.has_one_bundle:
            raise EvidenceRefused(
                "the referrer attaches no bundle, or several", code="referrer-shape", found=self.shown_layers
            )
        return self.manifest.layers[0]

    @property
    def subject(self) -> Descriptor:
        """What it is about. Raises EvidenceRefused (code "referrer-subject") when it is about nothing."""
        if self.manifest.subject is None:
            raise EvidenceRefused("the manifest refers to nothing", code="referrer-subject")
        return self.manifest.subject

    @property
    def shown_layers(self) -> str:
        """The media types of its layers, for a refusal."""
        return bounded(", ".join(layer.media_type for layer in self.manifest.layers)) or "no layer"

    @property
    def claimed_type(self) -> str | None:
        """The predicate type that its author writes beside the bundle."""
        return self.manifest.annotations.get(ANNOTATION_PREDICATE_TYPE)

    @property
    def claimed_content(self) -> str | None:
        """What its author writes that the bundle holds."""
        return self.manifest.annotations.get(ANNOTATION_BUNDLE_CONTENT)

    def is_about(self, digest: Digest) -> bool:
        """Whether its subject is the manifest `digest`."""
        return self.manifest.subject is not None and self.manifest.subject.digest == digest
