"""A root that is trusted for some vouches for others: a company's own authority can mint anybody."""

from __future__ import annotations

import json

import pytest

from tests.forge_certificate import leaf
from tests.shelf import Shelf
from tests.vectorrecipes.common import job_name, texts_of_job
from tests.workshop import RELEASE_JOB, Workshop
from tidegate.errors import EvidenceRefused, TrustFileInvalid
from tidegate.formats.charter import Charter
from tidegate.verify.trust import Root, Trust


def two_rooted(workshop: Workshop) -> Charter:
    """The publisher under `main`, a reviewer under `other`."""
    bob = workshop.attesters[1].model_copy(update={"root": "other", "issuer": workshop.other.issuer.url})
    return workshop.charter.model_copy(update={"attesters": (bob,)})


def test_each_root_vouches_for_its_own(workshop: Workshop) -> None:
    review = workshop.statement("https://tidegate.dev/predicate/review/v1", workshop.review_predicate())
    verified = workshop.verify(workshop.sign(review, "bob", instance=workshop.other), charter=two_rooted(workshop))
    assert verified.root == "other"
    assert workshop.verify(workshop.sign(workshop.release_statement()), charter=two_rooted(workshop)).root == "main"


def test_the_other_root_cannot_mint_the_publisher(workshop: Workshop) -> None:
    minted = workshop.sign(
        workshop.release_statement(), leaf(job_name(), texts_of_job(workshop)), instance=workshop.other
    )
    with pytest.raises(EvidenceRefused) as refused:
        workshop.verify(minted, charter=two_rooted(workshop))
    reason = refused.value.reasons[0]
    assert (reason.step, reason.code) == ("A13", "identity-not-in-charter")
    assert "under other" in str(reason.found)
    assert "root other is not main" in str(reason.expected)


def test_a_release_minted_under_the_other_root_is_refused(agent_shelf: Shelf) -> None:
    workshop = agent_shelf.workshop
    who = leaf(job_name(), texts_of_job(workshop))
    agent_shelf.attach(workshop.sign(workshop.release_statement(), who, instance=workshop.other))
    agent_shelf.attach(workshop.sign(workshop.provenance_statement(RELEASE_JOB), who, instance=workshop.other))
    found = agent_shelf.refusal(charter=two_rooted(workshop))
    assert set(found) == {"R6 no-signature", "R7 no-provenance", "A13 identity-not-in-charter"}


def test_parts_of_two_instances_do_not_add_up(workshop: Workshop) -> None:
    ours = workshop.sign(workshop.release_statement())
    theirs = workshop.sign(workshop.release_statement(), instance=workshop.other)
    for part in ("certificate", "tlogEntries", "timestampVerificationData"):
        material = {**ours["verificationMaterial"], part: theirs["verificationMaterial"][part]}  # type: ignore[dict-item,index]
        with pytest.raises(EvidenceRefused) as refused:
            workshop.verify(ours | {"verificationMaterial": material}, charter=two_rooted(workshop))
        assert refused.value.reasons[0].step == "A12"


def test_a_sandbox_is_not_trusted_by_accident(workshop: Workshop) -> None:
    raw = json.dumps(workshop.main.trusted_root()).encode()
    with pytest.raises(TrustFileInvalid) as refused:
        Trust.from_parts([Root("main", raw)], [])
    assert refused.value.reasons[0].code == "sandbox-root"


def test_the_sigstore_cache_in_the_home_folder_is_never_read(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    assert workshop.verify(workshop.sign(workshop.release_statement())).root == "main"
