"""Every admission leaves a record, and beside the log all that the record names."""

from __future__ import annotations

from sqlmodel import select

from tests.registry.admission.world import GateWorld
from tests.workshop import VERSION
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.verify.admission_record import AdmissionRecord, parse_admission_record
from tidegate_registry.audit.tables import LogObjectRow


def objects(world: GateWorld, entry: JsonObject) -> dict[str, LogObjectRow]:
    with world.services.db.read() as tx:
        rows = tx.exec(select(LogObjectRow).where(LogObjectRow.entry == str(entry["id"]))).all()
    return {row.digest: row for row in rows}


def record_of(world: GateWorld, entry: JsonObject) -> AdmissionRecord:
    assert isinstance(entry["data"], dict)
    digest = Digest.parse(str(entry["data"]["record"]))
    raw = objects(world, entry)[digest].body
    assert raw is not None
    assert digest.matches(raw)
    return parse_admission_record(raw)


def test_a_release_follows_a_recorded_decision_in_its_own_transaction(gate_world: GateWorld) -> None:
    manifest = gate_world.publish()
    (decided,), (admitted,) = gate_world.events("admission.decided"), gate_world.data_of("release.admitted")
    assert admitted["decision"] == decided["id"]
    record = record_of(gate_world, decided)
    assert record.allowed
    assert (record.manifest, record.version, record.opaque) == (manifest.digest, VERSION, True)
    assert record.roots == tuple((root.name, root.digest) for root in gate_world.trust.roots)
    beside = objects(gate_world, decided)
    named = {manifest.digest, *(each.bundle for each in record.evidence), *(digest for _, digest in record.roots)}
    assert named <= beside.keys()
    assert {beside[each.bundle].namespace for each in record.evidence} == {"acme"}


def test_a_refusal_is_recorded_with_the_evidence_that_did_not_do(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    gate_world.sign_release(client, manifest)
    assert gate_world.put(client, manifest, VERSION).status_code == 403
    (decided,) = gate_world.events("admission.decided")
    record = record_of(gate_world, decided)
    assert [reason.code for reason in record.reasons] == ["no-provenance"]
    (seen,) = record.evidence
    assert seen.verified is not None
    assert seen.bundle in objects(gate_world, decided)
