"""The workshop of an honest publisher, whose evidence the attacks bend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.attacks.archives import AGENT, PROMPT, TEXT
from tests.client.bundle.agents import build_agent
from tests.client.bundle.forged import Forged
from tests.shelf import Shelf
from tests.workshop import Workshop
from tidegate_registry.sandbox.sigstore import SigstoreInstance

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SigstoreInstance, SigstoreInstance]]:
    """Two private Sigstores that do not listen: signing and verifying need no network."""
    folder = tmp_path_factory.mktemp("workshop")
    pair = tuple(
        SigstoreInstance(
            folder / name,
            f"https://{name}.sigstore.example",
            clock=lambda: NOW,
            valid_from=NOW - timedelta(days=500),
        )
        for name in ("main", "other")
    )
    yield pair[0], pair[1]
    for instance in pair:
        instance.close()


@pytest.fixture(scope="session")
def workshop(instances: tuple[SigstoreInstance, SigstoreInstance]) -> Workshop:
    """An opaque bundle's publisher: nothing but evidence names agent and version."""
    return Workshop(*instances, NOW)


@pytest.fixture
def shelf(workshop: Workshop) -> Shelf:
    """The opaque bundle, with no evidence yet."""
    return Shelf(workshop)


@pytest.fixture(scope="session")
def built(instances: tuple[SigstoreInstance, SigstoreInstance], tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A real bundle of the same agent, without evidence; use `agent_shelf`."""
    made = build_agent(tmp_path_factory.mktemp("agent"))
    return Shelf(Workshop(*instances, NOW, manifest=made.manifest), made.layout.open_blob)


@pytest.fixture
def agent_shelf(built: Shelf) -> Shelf:
    """A real bundle that names agent and version itself, with no evidence yet."""
    return Shelf(built.workshop, built.open_blob)


@pytest.fixture
def forged(tmp_path: Path) -> Forged:
    """A small honest bundle with one prompt, to be edited."""
    return Forged(
        build_agent(tmp_path, {"agent.yaml": AGENT, PROMPT: TEXT, "tools.json": '{"name": "x"}', "model.bin": "w"})
    )
