"""What naming a version rests on: bent, or left out, against a whole running registry.

Threats (docs/threats.md): replayed evidence; weaker evidence than before.
"""

from __future__ import annotations

from tests.attacks.admission import (
    BRANCH_JOB,
    LAPTOP_JOB,
    pushed,
    step_and_code,
)
from tests.registry.admission.world import GateWorld, codes_of, reasons_of
from tests.workshop import VERSION


class TestWhatIsMissing:
    def test_a_bundle_with_provenance_alone_is_not_signed(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_provenance(client, manifest)
        assert codes_of(gate_world.put(client, manifest, VERSION)) == ["no-release-statement", "no-signature"]

    def test_a_bundle_with_a_signature_alone_is_not_proven(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_release(client, manifest)
        assert codes_of(gate_world.put(client, manifest, VERSION)) == ["no-provenance"]

    def test_a_signature_that_names_no_version_does_not_name_an_opaque_bundle(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_cosign(client, manifest)
        gate_world.sign_provenance(client, manifest)
        assert codes_of(gate_world.put(client, manifest, VERSION)) == ["no-release-statement"]

    def test_a_statement_for_one_version_does_not_name_another(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client, "1.2.0")
        answer = gate_world.put(client, manifest, "1.3.0")
        assert codes_of(answer) == ["no-release-statement", "no-signature"]
        assert "version 1.2.0" in reasons_of(answer)[0]["found"]

    def test_without_a_charter_nobody_publishes(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        gate_world.govern()
        assert step_and_code(gate_world.put(client, manifest, VERSION)) == (None, "no-charter")


class TestTheTrustFloor:
    def test_a_release_from_somebodys_own_machine_after_a_hosted_one_is_refused(self, gate_world: GateWorld) -> None:
        gate_world.publish("1.0.0")
        client = gate_world.client(LAPTOP_JOB)
        manifest = gate_world.prepare(client, "1.1.0", LAPTOP_JOB)
        assert step_and_code(gate_world.put(client, manifest, "1.1.0")) == ("R9", "runner-fell")

    def test_a_release_from_a_branch_after_one_from_a_tag_is_refused(self, gate_world: GateWorld) -> None:
        rule = gate_world.shop.publisher.model_copy(update={"refs": ("refs/tags/v*", "refs/heads/main")})
        gate_world.govern(gate_world.shop.charter.model_copy(update={"publishers": (rule,)}))
        gate_world.publish("1.0.0", BRANCH_JOB)
        gate_world.publish("1.1.0")
        client = gate_world.client(BRANCH_JOB)
        manifest = gate_world.prepare(client, "1.2.0", BRANCH_JOB)
        assert step_and_code(gate_world.put(client, manifest, "1.2.0")) == ("R8", "ref-fell")
        assert len(gate_world.data_of("release.admitted")) == 2
