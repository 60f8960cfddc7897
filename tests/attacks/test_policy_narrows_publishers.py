"""A publisher of the charter whom the policy does not let publish: the policy narrows, and nothing it says adds one."""

from __future__ import annotations

from tests.registry.admission.world import GateWorld
from tests.registry.policies.documents import policy, text
from tests.workshop import AGENT, RELEASE_JOB, VERSION
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.policies.install import install


def govern_by_policy(world: GateWorld, ending: str = "") -> None:
    """Let the charter's publisher publish, or with an `ending` another workflow alone."""
    rule = world.shop.charter.publishers[0]
    assert rule.workflow is not None
    signer = {"root": rule.root, "issuer": rule.issuer, "workflow": rule.workflow + ending, "refs": list(rule.refs)}
    document = policy(signers={"release": signer}, publishers=[{"agents": [AGENT], "signers": ["release"]}])
    install(world.services, SYSTEM, text(document), reason="for a test")


def test_what_the_charter_allows_and_the_policy_does_not_is_not_admitted(gate_world: GateWorld) -> None:
    govern_by_policy(gate_world, ".elsewhere")
    client = gate_world.client(RELEASE_JOB)
    manifest = gate_world.prepare(client, VERSION, RELEASE_JOB)
    answer = gate_world.put(client, manifest, VERSION)
    reasons = answer.json()["errors"][0]["detail"]["reasons"]
    assert answer.status_code == 403
    assert {each["code"] for each in reasons} >= {"no-signature", "no-provenance", "publisher-not-in-policy"}
    assert gate_world.events("release.admitted") == []


def test_what_both_allow_is_admitted_and_the_policy_is_remembered(gate_world: GateWorld) -> None:
    govern_by_policy(gate_world)
    gate_world.publish()
    with gate_world.services.db.read() as tx:
        found = gate_world.services.policies.for_agent(tx, AGENT)
        assert found is not None
    (release,) = gate_world.client().get(f"/api/v1/agents/{AGENT}/releases").json()["items"]
    assert release["decision"]["policy"] == str(found.digest)


def test_a_policy_adds_nobody_to_the_charter(gate_world: GateWorld) -> None:
    govern_by_policy(gate_world)
    rule = gate_world.shop.charter.publishers[0]
    elsewhere = rule.model_copy(update={"workflow": f"{rule.workflow}.other"})
    client = gate_world.client(RELEASE_JOB)
    manifest = gate_world.prepare(client, VERSION, RELEASE_JOB)
    gate_world.govern(gate_world.shop.charter.model_copy(update={"publishers": (elsewhere,)}))
    answer = gate_world.put(client, manifest, VERSION)
    assert answer.status_code == 403
