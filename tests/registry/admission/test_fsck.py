"""What fsck says of real evidence: clean as it is, and found where its row is altered or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy
from sqlmodel import col, delete, update

from tests.registry.admission.world import GateWorld
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.keeping.fsck.run import check

if TYPE_CHECKING:
    from tidegate_registry.keeping.fsck.findings import Finding


def found_after(world: GateWorld, statement: sqlalchemy.Executable) -> list[Finding]:
    with world.services.db.engine.begin() as connection:
        connection.execute(statement)
    return check(world.services).problems


def test_evidence_that_says_something_else_than_its_entry_or_has_no_row_is_found(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.prepare(client, "1.0.0")
    assert gate_world.put(client, manifest, "1.0.0").status_code == 201
    assert check(gate_world.services).problems == []
    altered = found_after(gate_world, update(EvidenceRow).values(identity="mallory@example.org"))
    assert [str(each.problem) for each in altered] == ["entry-differs"] * 2
    assert {each.found for each in altered} == {"identity mallory@example.org"}
    gone = found_after(gate_world, delete(EvidenceRow).where(col(EvidenceRow.subject) == manifest.digest))
    assert [str(each.problem) for each in gone] == ["record-missing"] * 2
    assert all("1.0.0" in " ".join(each.breaks) for each in gone)
