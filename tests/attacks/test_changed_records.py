"""What a registry believes of its rows, its store and what it read a moment ago: nothing that it cannot verify again.

Threats (docs/threats.md): a stolen registry database; a tampered S3 object; a decision that is overtaken.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlmodel import select

from tests.attacks.admission import (
    FORK_JOB,
    LAPTOP_JOB,
    SlowStore,
    overwrite,
    pushed,
    remove,
    request_to_name,
    step_and_code,
)
from tests.forge import dump
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, VERSION, root_of
from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, EvidenceRefused
from tidegate.formats.charter import Charter
from tidegate.formats.manifest import Manifest, evidence_manifest
from tidegate.formats.mediatypes import (
    PREDICATE_RELEASE,
    PREDICATE_SLSA_PROVENANCE,
)
from tidegate.verify.trust import Trust
from tidegate_registry.admission.service import DecisionOvertaken, Patience, admit
from tidegate_registry.admission.turns import Turns
from tidegate_registry.artifacts.naming import Named
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Refused
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.storage.blobs import StoreUnavailable


class TestWhatTheStoreAndTheDatabaseSay:
    """Rows and objects are where evidence is found, never why it counts."""

    def test_evidence_that_is_changed_in_the_store_does_not_count(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        shop = gate_world.about(manifest)
        good = dump(shop.sign(shop.provenance_statement(LAPTOP_JOB), LAPTOP_JOB))
        (row,) = self.rows(gate_world, manifest, PREDICATE_SLSA_PROVENANCE)
        overwrite(gate_world, row.bundle, good)
        gate_world.let_time_pass()
        answer = gate_world.put(client, manifest, VERSION)
        assert codes_of(answer) == ["no-provenance", "stored-bytes-differ"]

    def test_evidence_that_is_gone_from_the_store_does_not_count(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        (row,) = self.rows(gate_world, manifest, PREDICATE_RELEASE)
        remove(gate_world, row.bundle)
        gate_world.let_time_pass()
        answer = gate_world.put(client, manifest, VERSION)
        assert codes_of(answer) == ["no-release-statement", "no-signature", "blob-missing"]

    def test_a_row_that_somebody_wrote_into_the_database_does_not_count(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_provenance(client, manifest)
        shop = gate_world.about(manifest)
        forged = dump(shop.sign(shop.release_statement(), FORK_JOB))
        gate_world.push_blob(client, forged)
        (row,) = self.rows(gate_world, manifest, PREDICATE_SLSA_PROVENANCE)
        made_up = {"signature": Digest.of(b"x"), "predicate_type": PREDICATE_RELEASE, "bundle": Digest.of(forged)}
        with gate_world.services.db.begin() as tx:
            tx.add(EvidenceRow(**(row.model_dump() | made_up)))
            audit.append(tx, Refused(at=datetime.now(UTC), actor=SYSTEM, operation="-", code="-", reasons=()))
        answer = gate_world.put(client, manifest, VERSION)
        assert codes_of(answer) == ["no-release-statement", "no-signature", "identity-not-in-charter"]

    def test_evidence_counts_by_the_charter_of_the_day_of_the_decision(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        shop = gate_world.shop
        other = shop.publisher.model_copy(update={"name": "new", "workflow": f"{shop.publisher.workflow}-new"})
        alice = shop.attesters[1].model_copy(update={"name": "alice", "identity": "alice@sandbox.example", "types": ()})
        gate_world.govern(shop.charter.model_copy(update={"publishers": (other, alice), "version": 2}))
        assert step_and_code(gate_world.put(client, manifest, VERSION)) == (None, "not-in-charter")
        answer = gate_world.put(gate_world.client("alice"), manifest, VERSION)
        assert codes_of(answer)[:3] == ["no-release-statement", "no-signature", "no-provenance"]
        assert "identity-not-in-charter" in codes_of(answer)

    def rows(self, world: GateWorld, manifest: Manifest, kind: str) -> list[EvidenceRow]:
        with world.services.db.read() as tx:
            query = select(EvidenceRow).where(
                EvidenceRow.subject == manifest.digest, EvidenceRow.predicate_type == kind
            )
            return list(tx.exec(query))


class TestWhatChangesMeanwhile:
    def test_a_charter_that_changes_while_it_is_decided_decides(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        shop = gate_world.shop
        strict = shop.charter.model_copy(update={"floor": shop.charter.floor.model_copy(update={"builder_level": 3})})
        states = [shop.trust, shop.trusting(strict)]

        def trust() -> Trust:
            return states.pop(0) if len(states) > 1 else states[0]

        with pytest.raises(AdmissionRefused) as caught:
            admit(gate_world.services, trust, request_to_name(gate_world, manifest))
        assert [reason.code for reason in caught.value.reasons] == ["builder-too-low"]
        assert gate_world.data_of("release.admitted") == []

    def test_a_root_that_is_replaced_while_it_is_decided_decides(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        shop = gate_world.shop
        replaced = [root_of(shop.other, "main"), shop.roots["other"]]
        states = [shop.trust, Trust.from_parts(replaced, [shop.charter], allow_sandbox=True)]
        with pytest.raises(AdmissionRefused) as caught:
            admit(
                gate_world.services,
                lambda: states.pop(0) if len(states) > 1 else states[0],
                request_to_name(gate_world, manifest),
            )
        assert "no-signature" in [reason.code for reason in caught.value.reasons]

    def test_a_store_that_does_not_answer_is_no_refusal(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())

        def fail() -> None:
            raise StoreUnavailable("the object store did not answer")

        gate_world.let_time_pass()
        services = replace(gate_world.services, blobs=SlowStore(gate_world.services.blobs, fail))
        with pytest.raises(StoreUnavailable) as caught:
            admit(services, lambda: gate_world.trust, request_to_name(gate_world, manifest))
        assert caught.value.reasons[0].code == "store-unavailable"

    def test_a_charter_that_is_gone_when_evidence_is_verified_makes_nobodys_evidence_count(
        self, gate_world: GateWorld
    ) -> None:
        _, manifest = pushed(gate_world)
        shop = gate_world.about(manifest)
        raw = dump(shop.sign(shop.release_statement()))
        referrer = evidence_manifest(raw, manifest.descriptor, PREDICATE_RELEASE)
        who = request_to_name(gate_world, manifest).who
        gate_world.govern()
        with pytest.raises(EvidenceRefused) as caught:
            gate_world.services.gate.verify_referrer(gate_world.services, who, repository=AGENT, manifest=referrer)
        assert caught.value.reasons[0].code == "no-charter"

    def test_a_charter_that_never_stands_still_admits_nothing(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        versions = iter(range(1, 100))

        def trust() -> Trust:
            changed: Charter = gate_world.shop.charter.model_copy(update={"version": next(versions)})
            return gate_world.shop.trusting(changed)

        with pytest.raises(DecisionOvertaken) as caught:
            admit(gate_world.services, trust, request_to_name(gate_world, manifest), Patience(attempts=4))
        assert caught.value.reasons[0].code == "decision-overtaken"
        assert gate_world.data_of("release.admitted") == []

    def test_a_release_that_slips_in_meanwhile_is_the_one_to_compare_with(self, gate_world: GateWorld) -> None:
        """A laptop's build is judged against nothing; before it is written, a hosted one is admitted."""
        laptop = gate_world.prepare(gate_world.client(LAPTOP_JOB), VERSION, LAPTOP_JOB)
        slow_store = SlowStore(gate_world.services.blobs, lambda: gate_world.publish("1.0.0"))
        gate_world.let_time_pass()
        services = replace(gate_world.services, blobs=slow_store, turns=Turns())  # another replica's
        with pytest.raises(AdmissionRefused) as caught:
            admit(services, lambda: gate_world.trust, request_to_name(gate_world, laptop))
        assert [reason.code for reason in caught.value.reasons] == ["runner-fell"]
        assert [each["version"] for each in gate_world.data_of("release.admitted")] == ["1.0.0"]

    def test_evidence_that_arrives_meanwhile_is_looked_at(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        other = {"behaviour": Digest.of(b"other")}
        slow_store = SlowStore(
            gate_world.services.blobs, lambda: gate_world.sign_release(client, manifest, VERSION, **other)
        )
        gate_world.let_time_pass()
        services = replace(gate_world.services, blobs=slow_store)
        named = admit(services, lambda: gate_world.trust, request_to_name(gate_world, manifest))
        assert isinstance(named, Named)
        assert len(named.release.facts["evidence"]) == 3  # type: ignore[arg-type]  # a list
