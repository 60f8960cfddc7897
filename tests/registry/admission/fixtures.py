"""The fixture that this room, the evidence room and the attacks on both share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fixtures_sandbox import Sigstores
from tests.registry.admission.world import GateWorld, running_gate_world

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint


@pytest.fixture
def gate_world(sigstores: Sigstores, s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[GateWorld]:
    """A running registry with an empty database and its own prefix in the store."""
    with running_gate_world(sigstores, s3, database_url, tmp_path) as running:
        yield running
