"""A company with a policy, over a running registry."""

from __future__ import annotations

import pytest

from tests.registry.policies.helpers import Company
from tests.registry.world import World


@pytest.fixture
def company(world: World) -> Company:
    made = Company(world)
    made.install()
    made.meet("anna", "ben")
    return made
