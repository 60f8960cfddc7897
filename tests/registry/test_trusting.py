"""Each change of whom the registry trusts is one entry, with what it names, however many replicas look."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fixtures_sandbox import Sigstores
from tests.registry.world import World
from tests.workshop import Workshop
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate_registry.audit.objects import store_objects
from tidegate_registry.services import Services
from tidegate_registry.storage.blobs import LogKey
from tidegate_registry.trust_source import TrustSource
from tidegate_registry.trusting.service import TrustNotes

CHARTER = """\
agent: {agent}
publishers:
  - {{name: {name}, root: main, issuer: "https://login.acme.example", identity: {name}@acme.example}}
"""
TRUST = "roots:\n  main: {file: root.json}\ncharters:\n"


@pytest.fixture(scope="module")
def shop(sigstores: Sigstores) -> Workshop:
    return Workshop(sigstores.main.instance, sigstores.twin.instance, datetime.now(UTC))


@pytest.fixture
def trust_file(tmp_path: Path, shop: Workshop) -> Path:
    (tmp_path / "root.json").write_bytes(shop.roots["main"].raw)
    write(tmp_path / "trust.yaml", "acme/one", "acme/two")
    return tmp_path / "trust.yaml"


def write(path: Path, *agents: str, name: str = "anna") -> None:
    for number, agent in enumerate(agents):
        (path.parent / f"{name}-{number}.yaml").write_text(CHARTER.format(agent=agent, name=name))
    path.write_text(TRUST + "".join(f"  - file: {name}-{number}.yaml\n" for number in range(len(agents))))


def replica(world: World, trust_file: Path) -> Services:
    return dataclasses.replace(world.services, trust=TrustSource(trust_file, allow_sandbox=True))


def told(world: World) -> list[JsonObject]:
    return [data for event in world.events("trust.changed") if isinstance(data := event["data"], dict)]


def kept(world: World, digest: object) -> bytes:
    found = world.services.blobs.read(LogKey.of_object(Digest(str(digest))), limit=1 << 20)
    assert found is not None
    return found[0]


def test_the_first_start_tells_whom_the_registry_trusts_and_auditors_can_fetch_it(
    world: World, trust_file: Path, shop: Workshop
) -> None:
    app = replica(world, trust_file)
    notes = TrustNotes(app)
    notes.look()
    notes.look()
    (data,) = told(world)
    assert app.trust is not None
    charters = sorted(app.trust.charters(), key=lambda each: each.agent)
    assert data["roots"] == [shop.roots["main"].digest]
    assert data["charters"] == sorted(each.digest for each in charters)
    assert (data.get("before"), data["gone"]) == (None, [])
    store_objects(world.services)
    assert kept(world, shop.roots["main"].digest) == shop.roots["main"].raw
    assert [kept(world, each.digest) for each in charters] == [each.canonical for each in charters]
    described = parse_object(kept(world, data["digest"]), limit=1 << 16, what="the description")
    assert described["charters"] == {each.agent: {"digest": each.digest, "version": 1} for each in charters}


def test_a_change_is_told_with_what_is_new_and_what_is_gone(world: World, trust_file: Path) -> None:
    notes = TrustNotes(replica(world, trust_file))
    notes.look()
    write(trust_file, "acme/one", "acme/three", name="boris")
    notes.look()
    before, after = told(world)
    assert after["before"] == before["digest"]
    assert (after["roots"], after["gone"]) == ([], ["charter acme/two"])
    assert isinstance(after["charters"], list)
    assert len(after["charters"]) == 2


def test_replicas_tell_a_change_once_and_do_not_contradict_each_other(world: World, trust_file: Path) -> None:
    other = trust_file.with_name("other.yaml")
    other.write_bytes(trust_file.read_bytes())
    first, second = (TrustNotes(replica(world, path)) for path in (trust_file, other))
    first.look()
    second.look()
    assert len(told(world)) == 1
    write(trust_file, "acme/one", name="boris")  # the operator has edited one of two so far
    for _ in range(3):
        first.look()
        second.look()
    assert len(told(world)) == 2
    other.write_bytes(trust_file.read_bytes())
    for notes in (second, first, TrustNotes(replica(world, other))):
        notes.look()
    assert len(told(world)) == 2


def test_a_file_that_cannot_be_read_changes_nothing(world: World, trust_file: Path) -> None:
    notes = TrustNotes(replica(world, trust_file))
    notes.look()
    trust_file.write_text("roots: [")
    notes.look()
    assert len(told(world)) == 1


def test_a_registry_without_a_trust_file_tells_nothing(world: World) -> None:
    TrustNotes(world.services).look()
    TrustNotes(dataclasses.replace(world.services, trust=TrustSource(None, allow_sandbox=True))).look()
    assert told(world) == []
