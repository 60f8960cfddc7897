"""Fixtures of the registry's own tests, also used by the attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.world import World, running_world

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint


@pytest.fixture
def world(s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
    """A running registry with an empty database and its own prefix in the store."""
    with running_world(s3, database_url, tmp_path) as running:
        yield running
