"""The fixture that this room, the evidence room and the attacks on both share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fixtures_sandbox import Sigstores
from tests.postgres import empty_database
from tests.registry.admission.world import GateWorld, running_gate_world

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint


@pytest.fixture(scope="session")
def gate_server(
    sigstores: Sigstores, s3: S3Endpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[GateWorld]:
    """A registry that runs as long as the test process does."""
    folder = tmp_path_factory.mktemp("gate")
    with contextlib.ExitStack() as stack:
        database_url = f"sqlite:///{folder}/registry.db"
        if os.environ.get("TIDEGATE_TEST_DATABASE") == "postgresql":
            database_url = stack.enter_context(empty_database(request.getfixturevalue("postgres_server")))
        yield stack.enter_context(running_gate_world(sigstores, s3, database_url, folder))


@pytest.fixture
def gate_world(gate_server: GateWorld) -> Iterator[GateWorld]:
    """That registry, with an empty database, the workshop's charter and nobody logged in."""
    gate_server.renew()
    yield gate_server
    gate_server.renew()
