"""Fixtures of the registry's own tests, also used by the attacks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.world import World, running_world

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint


@contextlib.contextmanager
def world_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database for a registry that serves several tests: SQLite in `folder`, or PostgreSQL."""
    if os.environ.get("TIDEGATE_TEST_DATABASE") != "postgresql":
        yield f"sqlite:///{folder}/registry.db"
        return
    from tests.postgres import empty_database

    with empty_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def every_entry_fits_its_schema() -> Iterator[None]:
    """Hold whatever any registry of this process writes to what the schema promises auditors."""
    from tests.registry.entry_check import checked_entries

    with checked_entries():
        yield


@pytest.fixture(scope="session")
def shared_world(
    s3: S3Endpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[World]:
    """A registry that runs as long as the test process does; use `world`."""
    folder = tmp_path_factory.mktemp("world")
    with world_database(request, folder) as database_url, running_world(s3, database_url, folder) as running:
        yield running


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """A running registry with an empty database and its own prefix in the store."""
    yield shared_world
    shared_world.renew()


@pytest.fixture
def own_world(s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
    """The same, for one test alone: it may change the application."""
    with running_world(s3, database_url, tmp_path) as running:
        yield running
