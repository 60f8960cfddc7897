"""Every decision that the registry makes, decided again from its log."""

from __future__ import annotations

import pytest

from tests.registry.admission.world import GateWorld
from tests.registry.promotion.walk import WALK
from tests.registry.promotion.world import Promotions
from tests.registry.replay.auditing import replay_world
from tests.workshop import VERSION
from tidegate_registry.trusting.service import record_trust


@pytest.mark.parametrize("route", list(WALK), ids=" ".join)
def test_every_decision_of_the_walk_agrees(promotions: Promotions, route: tuple[str, str]) -> None:
    record_trust(promotions.gate.services, promotions.gate.trust)
    call, _ = WALK[route]
    assert call(promotions).is_success
    summary, told = replay_world(promotions.gate, today=promotions.gate.trust)
    assert [(each.type, each.state.value, each.reasons, each.today) for each in summary.notable] == []
    assert summary.decisions == summary.agreed == len(told) > 0


def test_a_refused_admission_agrees(gate_world: GateWorld) -> None:
    record_trust(gate_world.services, gate_world.trust)
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    gate_world.sign_release(client, manifest)
    assert gate_world.put(client, manifest, VERSION).status_code == 403
    summary, (refused,) = replay_world(gate_world)
    assert (refused.said, refused.state.value, refused.reasons) == ("refused", "agreed", ())
    assert summary.agreed == 1
