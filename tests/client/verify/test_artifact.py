"""Whether a manifest is a release: every unmet requirement is told, none hides another, nothing is met by accident."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.verify.plain import (
    AGENT,
    BEHAVIOUR,
    DIGEST,
    VERSION,
    PlainConfig,
    PlainPin,
    charter,
    cosign,
    identity,
    provenance,
    refused,
    release,
)
from tidegate.bundle.diff.step import MAX_LINES, Step, version_step
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.charter import Role
from tidegate.verify.artifact import Allowed, Refused, decide_release


def decide(**changes: Any) -> Allowed | Refused:
    arguments: dict[str, Any] = {
        "agent": AGENT,
        "version": VERSION,
        "digest": DIGEST,
        "config": PlainConfig(),
        "attestations": [release(), provenance()],
        "refusals": [],
        "charter": charter(),
        "previous": None,
    }
    return decide_release(**arguments | changes)


def reasons(**changes: Any) -> dict[str, Reason]:
    verdict = decide(**changes)
    assert isinstance(verdict, Refused)
    assert not verdict
    return {reason.code: reason for reason in verdict.reasons}


def test_a_signed_and_proven_release_is_allowed() -> None:
    verdict = decide(attestations=[release(channels=("dev", "beta")), provenance(), cosign()])
    assert isinstance(verdict, Allowed)
    assert verdict.channels == ("beta", "dev")
    assert len(verdict.signatures) == 2
    assert verdict.facts.commit == "5a" * 20
    assert verdict.checked == ("A1", "A2", *(f"R{number}" for number in range(1, 14)))


def test_cosigns_signature_is_enough_for_a_bundle_that_names_itself() -> None:
    assert isinstance(decide(attestations=[cosign(), provenance()]), Allowed)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"attestations": []}, {"no-signature": "R6", "no-provenance": "R7"}),
        ({"attestations": [release()]}, {"no-provenance": "R7"}),
        ({"attestations": [provenance()]}, {"no-signature": "R6"}),
        ({"attestations": [release("1.2.1"), provenance()]}, {"no-signature": "R6"}),
        ({"attestations": [release(agent="acme/other"), provenance()]}, {"no-signature": "R6"}),
        ({"attestations": [release(role=Role.ATTESTER), provenance()]}, {"no-signature": "R6"}),
        ({"attestations": [release(), provenance(role=Role.ATTESTER)]}, {"no-provenance": "R7"}),
        ({"digest": Digest.of(b"x")}, {"no-signature": "R6", "no-provenance": "R7"}),
        ({"config": PlainConfig(name="acme/other")}, {"agent-mismatch": "R2"}),
        ({"config": PlainConfig(version="1.2.1")}, {"version-mismatch": "R3"}),
        ({"version": "1.3.0"}, {"version-mismatch": "R3", "no-signature": "R6"}),
        (
            {"config": PlainConfig(behaviour=DIGEST), "attestations": [release(behaviour=BEHAVIOUR), provenance()]},
            {"behaviour-mismatch": "R12"},
        ),
        (
            {"charter": charter(unpinned="refuse"), "config": PlainConfig(models=(PlainPin("gpt", floats=True),))},
            {"unpinned-model": "R5"},
        ),
        ({"charter": charter(agent="acme/other")}, {"no-charter": "R1"}),
        ({"charter": None}, {"no-charter": "R1"}),
        ({"config": None, "attestations": [cosign(), provenance()]}, {"no-release-statement": "R4"}),
        ({"charter": charter(floor={"builderLevel": 3})}, {"builder-too-low": "R10"}),
        ({"bundle_reasons": [Reason("content-digest", "x", step="B8")], "config": None}, {"content-digest": "B8"}),
    ],
    ids=range(18),
)
def test_a_requirement_that_is_not_met_is_told(changes: dict[str, Any], codes: dict[str, str]) -> None:
    assert {code: reason.step for code, reason in reasons(**changes).items()} == codes


def test_all_that_is_unmet_is_told_at_once_in_the_order_of_the_steps() -> None:
    verdict = decide(
        version="2.0.0",
        config=PlainConfig(name="acme/other", models=(PlainPin("gpt", floats=True),)),
        charter=charter(unpinned="refuse", floor={"runner": "hosted", "ref": "protected-tag", "builderLevel": 3}),
        attestations=[provenance(identity("refs/heads/x", runner="self-hosted"))],
    )
    assert isinstance(verdict, Refused)
    steps = [reason.step for reason in verdict.reasons]
    assert steps == ["R2", "R3", "R5", "R6", "R8", "R9", "R10"]


def test_a_small_version_step_is_refused_warned_of_or_nothing_as_the_charter_says() -> None:
    many = [(Step.MAJOR, f"tools: tool {number} removed") for number in range(MAX_LINES + 2)]
    small, unknown = version_step("1.1.0", VERSION, many), Reason("step-unknown", "nobody can tell")
    assert not small.enough
    for step, code, count in ((small, "step-too-small", MAX_LINES + 1), (unknown, "step-unknown", 1)):
        refused_for = decide(charter=charter(smallStep="refuse"), version_step=step)
        assert isinstance(refused_for, Refused)
        assert [(reason.code, reason.step) for reason in refused_for.reasons] == [(code, "R13")] * count
        warned = decide(charter=charter(), version_step=step)
        assert isinstance(warned, Allowed)
        assert warned.warnings == refused_for.reasons
        allowed = decide(charter=charter(smallStep="allow"), version_step=step)
        assert isinstance(allowed, Allowed)
        assert allowed.warnings == ()
    assert decide(charter=charter(smallStep="refuse"), version_step=version_step("1.1.0", VERSION, many[:0]))
    assert decide(charter=charter(smallStep="refuse"))  # nothing below to measure it by


def test_an_opaque_bundle_is_a_release_by_its_release_statement() -> None:
    verdict = decide(config=None)
    assert isinstance(verdict, Allowed)
    assert isinstance(decide(config=None, version="1.2.1"), Refused)


def test_what_there_was_instead_is_told_with_the_reasons_why_it_was_refused() -> None:
    found = reasons(attestations=[release("1.1.0")], refusals=[refused()])
    missing = found["no-provenance"]
    assert missing.found is not None
    assert "release by release for version 1.1.0" in missing.found
    assert "refused at A13 (identity-not-in-charter)" in missing.found
    assert found["identity-not-in-charter"].step == "A13"
    assert missing.expected == "SLSA provenance v1 by release"
    assert missing.hint is not None


def test_refused_evidence_is_not_told_when_nothing_is_missing() -> None:
    assert isinstance(decide(refusals=[refused()]), Allowed)
    assert set(
        reasons(refusals=[refused()], version="1.3.0", config=PlainConfig(), attestations=[cosign(), provenance()])
    ) == {"version-mismatch"}


def test_refused_evidence_never_counts() -> None:
    assert "no-provenance" in reasons(attestations=[release()], refusals=[refused()])


def test_the_list_of_what_there_was_is_bounded() -> None:
    shown = reasons(attestations=[], refusals=[refused()] * 50)["no-signature"].found
    assert shown is not None
    assert shown.endswith("; and 40 more")


def test_an_error_inside_a_step_is_a_refusal_of_that_step() -> None:
    class Broken(PlainConfig):
        @property
        def models(self) -> Any:
            raise RuntimeError("secret")

    broken = object.__new__(Broken)
    object.__setattr__(broken, "name", AGENT)
    object.__setattr__(broken, "version", VERSION)
    object.__setattr__(broken, "behaviour", BEHAVIOUR)
    found = reasons(config=broken, charter=charter(unpinned="refuse"))["verification-error"]
    assert (found.step, found.found) == ("R5", "RuntimeError")


def test_of_several_provenances_the_one_that_meets_the_floor_counts() -> None:
    good, bad = provenance(minutes_ago=60), provenance(identity(runner="self-hosted"), minutes_ago=1)
    before = decide()
    assert isinstance(before, Allowed)
    verdict = decide(attestations=[release(), bad, good], previous=before.facts)
    assert isinstance(verdict, Allowed)
    assert verdict.provenance is good
    assert set(reasons(attestations=[release(), bad], previous=before.facts)) == {"runner-fell"}


def test_of_provenances_that_are_equally_good_the_latest_counts() -> None:
    older, newer = provenance(minutes_ago=60), provenance(minutes_ago=1)
    verdict = decide(attestations=[release(), older, newer])
    assert isinstance(verdict, Allowed)
    assert verdict.provenance is newer
