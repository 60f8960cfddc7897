"""Naming is admitting: what is complete gets in once and for ever, what is not gets every reason."""

from __future__ import annotations

from tests.registry.admission.world import GateWorld, codes_of, reasons_of
from tests.workshop import AGENT, VERSION


def test_a_signed_and_proven_bundle_becomes_a_release(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.prepare(client)
    answer = gate_world.put(client, manifest, VERSION)
    assert answer.status_code == 201, answer.text
    assert client.get(f"/v2/{AGENT}/manifests/{VERSION}").headers["Docker-Content-Digest"] == manifest.digest
    (admitted,) = gate_world.data_of("release.admitted")
    assert admitted["digest"] == manifest.digest
    assert len(gate_world.data_of("evidence.verified")) == 2


def test_the_answer_lists_every_unmet_requirement(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.bundle_for()
    gate_world.push(client, manifest)
    answer = gate_world.put(client, manifest, VERSION)
    assert answer.status_code == 403
    assert codes_of(answer) == ["no-release-statement", "no-signature", "no-provenance"]
    for reason in reasons_of(answer):
        assert {"code", "message", "found", "expected", "hint", "step"} <= reason.keys()
    error = answer.json()["errors"][0]
    assert error["code"] == "DENIED"
    for word in ("no-release-statement", "no-signature", "no-provenance", "found: no evidence at all", "hint: "):
        assert word in error["message"]
    assert client.get(f"/v2/{AGENT}/manifests/{VERSION}").status_code == 404
