"""A release that says it is a small step and is not, so that whoever follows patches takes it without a look."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.admission.agents import MORE_EGRESS, OTHER_CONTRACT, OTHER_PROMPT, push_version
from tests.registry.admission.world import GateWorld, codes_of, reasons_of
from tests.workshop import AGENT
from tidegate_registry.artifacts import naming
from tidegate_registry.storage.blobs import BlobKey


@pytest.fixture
def strict(gate_world: GateWorld) -> GateWorld:
    gate_world.govern(gate_world.shop.charter.model_copy(update={"small_step": "refuse"}))
    return gate_world


def released(world: GateWorld, version: str) -> bool:
    with world.services.db.read() as tx:
        return naming.find_release(tx, AGENT, version) is not None


def test_a_broken_contract_and_a_new_capability_are_no_patch(strict: GateWorld, tmp_path: Path) -> None:
    assert push_version(strict, tmp_path, "1.0.0")[1].status_code == 201
    _, answer = push_version(strict, tmp_path, "1.0.1", OTHER_CONTRACT, MORE_EGRESS, files=OTHER_PROMPT)
    assert answer.status_code == 403
    assert codes_of(answer) == ["step-too-small", "step-too-small"]  # a line each; the prompt demands no more
    assert {reason["step"] for reason in reasons_of(answer)} == {"R13"}
    first = reasons_of(answer)[0]
    assert first["message"].endswith("interfaces: answer 1 output widened")
    assert (first["found"], first["expected"]) == (
        "1.0.0 to 1.0.1, a patch step",
        "2.0.0 or greater, a major step",
    )
    assert not released(strict, "1.0.1")
    assert push_version(strict, tmp_path / "again", "2.0.0", OTHER_CONTRACT, MORE_EGRESS)[1].status_code == 201


def test_it_is_measured_by_the_greatest_release_below_not_the_last_one(strict: GateWorld, tmp_path: Path) -> None:
    for version, edits in (("2.0.0", (OTHER_CONTRACT,)), ("1.0.0", ()), ("3.0.0-rc.1", (OTHER_CONTRACT, MORE_EGRESS))):
        assert push_version(strict, tmp_path, version, *edits)[1].status_code == 201
    assert codes_of(push_version(strict, tmp_path, "2.0.1", OTHER_CONTRACT, MORE_EGRESS)[1]) == ["step-too-small"]
    assert codes_of(push_version(strict, tmp_path, "1.0.1", OTHER_CONTRACT)[1]) == ["step-too-small"]
    assert push_version(strict, tmp_path, "2.0.2", OTHER_CONTRACT)[1].status_code == 201


def test_becoming_opaque_is_a_major_step(strict: GateWorld, tmp_path: Path) -> None:
    push_version(strict, tmp_path, "1.0.0")
    client = strict.client()
    assert codes_of(strict.put(client, strict.prepare(client, "1.1.0"), "1.1.0")) == ["step-too-small"]


def test_what_cannot_be_compared_is_refused_and_no_other_fault_is_hidden(strict: GateWorld, tmp_path: Path) -> None:
    built, _ = push_version(strict, tmp_path, "1.0.0")
    config = built.manifest.config
    assert config is not None
    strict.services.blobs.delete(BlobKey("acme", config.digest))
    strict.let_time_pass()
    _, answer = push_version(strict, tmp_path, "1.0.1", files=OTHER_PROMPT)
    assert (answer.status_code, codes_of(answer)) == (403, ["step-unknown"])
    assert not released(strict, "1.0.1")
