"""The OCI shape in which a Sigstore bundle is attached: one manifest, one layer, a subject. Steps E1-E6, E8. Pure.

The shape is that of `tidegate`, cosign v3 and the `@sigstore/oci` client. Whatever else refers to a manifest is stored
as it is and is never evidence. Source: docs/spec/evidence.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.errors import EvidenceRefused
from tidegate.formats.manifest import MAX_REFERRER_BYTES, Manifest
from tidegate.formats.mediatypes import OCI_EMPTY, OCI_MANIFEST, SIGSTORE_BUNDLE
from tidegate.verify.referrer import BundleReferrer
from tidegate.verify.steps import Step, bounded, run_steps

SIGSTORE_FAMILY = "application/vnd.dev.sigstore.bundle"  # v0.1, v0.2, `+json;version=0.3`: clients of before 2024
MAX_CONFIG_BYTES = 4 << 10  # the empty object; clients that write one into a config blob stay far below
DSSE_ENVELOPE = "dsse-envelope"


@dataclass(frozen=True, slots=True)
class Referrer(BundleReferrer):
    """A manifest that attaches a bundle, and the largest bundle that is read, in bytes."""

    limit: int


def claims_evidence(manifest: Manifest) -> bool:
    """Whether the manifest wants to be evidence: it refers to something and its type is a Sigstore bundle's."""
    kind = manifest.effective_artifact_type or ""
    return manifest.subject is not None and kind.startswith(SIGSTORE_FAMILY)


def check_referrer(manifest: Manifest, *, limit: int) -> Referrer:
    """Check the shape. Raises EvidenceRefused with the step."""
    referrer = Referrer(manifest, limit)
    run_steps(REFERRER_STEPS, referrer)
    return referrer


def _step_e1_subject(referrer: Referrer) -> None:
    subject, media_type = referrer.subject, referrer.manifest.media_type
    if media_type != OCI_MANIFEST or subject.digest.algorithm != "sha256":
        raise EvidenceRefused(
            "evidence is attached by an image manifest, to a manifest with a sha256 digest",
            code="referrer-subject",
            found=bounded(f"{media_type} about {subject.digest}"),
            expected=f"{OCI_MANIFEST} about sha256:<hex>",
            step="E1",
        )


def _step_e2_type(referrer: Referrer) -> None:
    if not referrer.is_bundle:
        raise EvidenceRefused(
            "that kind of Sigstore bundle is never evidence here",
            code="referrer-type",
            found=bounded(referrer.manifest.effective_artifact_type),
            expected=SIGSTORE_BUNDLE,
            hint="sign and attach with cosign v3, `tidegate attest` or another client that writes bundles of v0.3",
            step="E2",
        )


def _step_e3_one_layer(referrer: Referrer) -> None:
    if not referrer.has_one_bundle:
        raise EvidenceRefused(
            "a referrer attaches exactly one bundle",
            code="referrer-layers",
            found=referrer.shown_layers,
            expected=f"one layer of {SIGSTORE_BUNDLE}",
            hint="attach each bundle by its own referrer",
            step="E3",
        )


def _step_e4_empty_config(referrer: Referrer) -> None:
    config = referrer.manifest.config
    if config is None or config.media_type not in (OCI_EMPTY, SIGSTORE_BUNDLE) or config.size > MAX_CONFIG_BYTES:
        raise EvidenceRefused(
            "a referrer that attaches a bundle has no config of its own",
            code="referrer-config",
            found=bounded(f"{config.media_type}, {config.size} bytes") if config else "no config",
            expected=f"{OCI_EMPTY}",
            step="E4",
        )


def _step_e5_size(referrer: Referrer) -> None:
    size = referrer.bundle.size
    if size > referrer.limit:
        raise EvidenceRefused(
            "the Sigstore bundle is too large",
            code="bundle-too-large",
            found=f"{size} bytes",
            expected=f"at most {referrer.limit} bytes",
            step="E5",
        )


def _step_e8_small_manifest(referrer: Referrer) -> None:
    # referrers lists repeat annotations, and every host fetches every referrer: padding would keep them from verifying
    size = len(referrer.manifest.raw)
    if size > MAX_REFERRER_BYTES:
        raise EvidenceRefused(
            "the referrer's manifest is too large",
            code="referrer-too-large",
            found=f"{size} bytes",
            expected=f"at most {MAX_REFERRER_BYTES} bytes, annotations included",
            hint="leave out annotations, or put what is long into the signed statement",
            step="E8",
        )


REFERRER_STEPS: tuple[Step[Referrer], ...] = (
    Step("E1", "it is an image manifest about a manifest named by sha256", _step_e1_subject),
    Step("E2", "its type is a Sigstore bundle of version 0.3", _step_e2_type),
    Step("E3", "it attaches exactly one bundle", _step_e3_one_layer),
    Step("E4", "its config is empty", _step_e4_empty_config),
    Step("E5", "the bundle is of bounded size", _step_e5_size),
    Step("E8", "the referrer's manifest is of bounded size", _step_e8_small_manifest),
)


def check_annotations(referrer: Referrer, predicate_type: str) -> None:
    """E6: what the manifest writes about the bundle is what was verified. Raises EvidenceRefused."""
    content = DSSE_ENVELOPE if referrer.claimed_content is None else referrer.claimed_content
    if (referrer.claimed_type or predicate_type) != predicate_type or content != DSSE_ENVELOPE:
        raise EvidenceRefused(
            "the referrer's annotations are not true of its bundle",
            code="referrer-annotations",
            found=bounded(f"{content}, {referrer.claimed_type}"),
            expected=f"{DSSE_ENVELOPE}, {bounded(predicate_type)}",
            step="E6",
        )


_LEGACY_TAG = re.compile(r"sha256-[0-9a-f]{64}\.(sig|att|sbom)")


def refuse_legacy_tag(tag: str) -> None:
    """Refuse a tag by which cosign before v3 attaches signatures: as a working tag it would never be looked at.

    Raises EvidenceRefused (code `legacy-signature-tag`).
    """
    if _LEGACY_TAG.fullmatch(tag):
        raise EvidenceRefused(
            "signatures are not attached by tags here, so this one would never count",
            code="legacy-signature-tag",
            found=tag,
            expected="a referrer with a Sigstore bundle of v0.3",
            hint="use cosign v3, or `cosign sign --new-bundle-format`, or `tidegate sign`",
        )
