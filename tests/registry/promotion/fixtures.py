"""The fixture that this room and the attacks on it share."""

from __future__ import annotations

import pytest

from tests.registry.admission.world import GateWorld
from tests.registry.promotion.world import Promotions


@pytest.fixture
def promotions(gate_world: GateWorld) -> Promotions:
    """A registry with a policy in force and an agent that has approvers."""
    return Promotions(gate_world)
