"""Whoever serves the evidence swaps it, cuts it off, or never stops."""

from __future__ import annotations

from dataclasses import replace

from tests.forge import dump
from tests.shelf import Shelf
from tidegate.digest import Digest
from tidegate.formats.bundle import MAX_BUNDLE_BYTES
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, MAX_REFERRERS, Descriptor, image_manifest
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE
from tidegate.verify.release import MAX_EVIDENCE_BYTES


def test_evidence_that_is_swapped_for_other_good_evidence_is_refused(agent_shelf: Shelf) -> None:
    agent_shelf.sign_honestly()
    first, second = (manifest.layers[0].digest for manifest in agent_shelf.attached)
    size = len(agent_shelf.blobs[first])
    other = dump(agent_shelf.workshop.sign(agent_shelf.workshop.release_statement()))
    agent_shelf.blobs[first] = other[:size].ljust(size)
    assert set(agent_shelf.refusal()) == {"R6 no-signature", "V5 evidence-digest"}
    assert second in agent_shelf.blobs


def test_evidence_of_another_size_than_its_referrer_gives_is_refused(agent_shelf: Shelf) -> None:
    agent_shelf.sign_honestly()
    name = agent_shelf.attached[0].layers[0].digest
    agent_shelf.blobs[name] += b" "
    assert set(agent_shelf.refusal()) == {"R6 no-signature", "V4 evidence-size"}


def test_evidence_that_is_withheld_does_not_count_and_is_told(agent_shelf: Shelf) -> None:
    agent_shelf.sign_honestly()
    del agent_shelf.blobs[agent_shelf.attached[0].layers[0].digest]
    assert {"R6 no-signature", "V4 blob-missing"} == set(agent_shelf.refusal())


def test_a_referrer_with_several_layers_is_refused(agent_shelf: Shelf) -> None:
    agent_shelf.sign_honestly()
    good = agent_shelf.attached[0]
    agent_shelf.attached[0] = replace(good, layers=good.layers * 2)
    assert "V3 referrer-shape" in agent_shelf.refusal()


def test_evidence_beyond_the_limit_is_never_opened(agent_shelf: Shelf) -> None:
    agent_shelf.prove_honestly()
    huge = Descriptor(SIGSTORE_BUNDLE, Digest.of(b"huge"), MAX_BUNDLE_BYTES + 1)
    agent_shelf.attached.append(
        image_manifest(
            artifact_type=SIGSTORE_BUNDLE,
            config=EMPTY_DESCRIPTOR,
            layers=(huge,),
            subject=agent_shelf.workshop.manifest.descriptor,
        )
    )
    assert {"R6 no-signature", "V4 evidence-size"} == set(agent_shelf.refusal())


def test_a_flood_of_referrers_ends_it(agent_shelf: Shelf) -> None:
    agent_shelf.sign_honestly()
    agent_shelf.attached *= MAX_REFERRERS
    assert set(agent_shelf.refusal()) == {"V2 too-many-referrers"}


def test_a_flood_of_bytes_ends_it(agent_shelf: Shelf) -> None:
    good = agent_shelf.sign_honestly().attached[0]
    large = replace(good.layers[0], size=MAX_BUNDLE_BYTES)
    agent_shelf.attached += [replace(good, layers=(large,))] * (MAX_EVIDENCE_BYTES // MAX_BUNDLE_BYTES)
    assert set(agent_shelf.refusal()) == {"V2 too-much-evidence"}


def test_other_artifacts_that_are_attached_are_passed_over(agent_shelf: Shelf) -> None:
    picture = Descriptor("image/png", Digest.of(b"picture"), 7)
    agent_shelf.sign_honestly().attached.append(
        image_manifest(
            artifact_type="image/png",
            config=EMPTY_DESCRIPTOR,
            layers=(picture,),
            subject=agent_shelf.workshop.manifest.descriptor,
        )
    )
    assert len(agent_shelf.verify().attestations) == 2
