"""Recording a release, as the admission room calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.registry.world import AGENT, PUBLISHER, T0, World, identity_of
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.policy.inputs_json import caller_json
from tidegate_registry.access.callers import caller_of
from tidegate_registry.access.principal import Principal, PrincipalKind
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.errors import VersionTaken
from tidegate_registry.audit.fields import MAX_LISTED
from tidegate_registry.audit.objects import store_objects
from tidegate_registry.storage.blobs import LogKey

if TYPE_CHECKING:
    from tidegate.formats.manifest import Manifest

AUTHOR = Principal(PrincipalKind.CI, identity_of(PUBLISHER), "job", {"actor": ("octocat",)})
KEPT: JsonObject = {naming.AUTHOR: caller_json(caller_of(AUTHOR))}


@pytest.fixture
def manifest(world: World) -> Manifest:
    return world.make_manifest(world.client(), b"layer")


def record(world: World, manifest: Manifest, version: str, facts: JsonObject | None = None) -> naming.Named:
    with world.services.db.begin() as tx:
        naming.lock_agent(tx, AGENT, T0)
        return naming.record_release(
            tx,
            world.services,
            who=AUTHOR,
            repository=AGENT,
            version=version,
            manifest=manifest,
            facts=facts or {},
            evidence=[Digest.of(bytes([n])) for n in range(250)],
            now=T0,
        )


def test_releases_are_listed_by_admission_whatever_the_clock_says(world: World, manifest: Manifest) -> None:
    for version in ("2.0.0", "1.0.0", "1.5.0"):
        assert record(world, manifest, version, {"seen": version}).created
    with world.services.db.read() as tx:
        found = naming.releases(tx, AGENT)
    assert [(each.version, each.facts) for each in found] == [
        ("1.5.0", KEPT | {"seen": "1.5.0"}),
        ("1.0.0", KEPT | {"seen": "1.0.0"}),
        ("2.0.0", KEPT | {"seen": "2.0.0"}),
    ]


def test_the_same_again_is_the_release_that_there_is(world: World, manifest: Manifest) -> None:
    first, again = record(world, manifest, "1.0.0", {"a": 1}), record(world, manifest, "1.0.0", {"a": 2})
    assert (again.created, again.release) == (False, first.release)
    other = world.make_manifest(world.client(), b"other")
    with pytest.raises(VersionTaken) as caught:
        record(world, other, "1.0.0")
    assert caught.value.reasons[0].code == "version-taken"


def test_an_entry_names_large_facts_by_their_digest_and_the_row_has_them(world: World, manifest: Manifest) -> None:
    facts: JsonObject = {"signers": ["x" * 2000] * 100}
    release = record(world, manifest, "1.0.0", facts).release
    assert release.facts == KEPT | facts
    data = world.events("release.admitted")[0]["data"]
    assert isinstance(data, dict)
    assert "facts" not in data
    assert data["facts_object"] == Digest.of(canonical_bytes(facts)), "without the claims of who published it"
    assert isinstance(data["evidence"], list)
    assert len(data["evidence"]) == MAX_LISTED
    store_objects(world.services)
    whole = world.services.blobs.read(LogKey.of_object(Digest(str(data["evidence_object"]))), limit=1 << 20)
    assert whole is not None
    assert whole[0] == canonical_bytes([Digest.of(bytes([n])) for n in range(250)])


def test_the_entry_of_a_release_says_nothing_of_its_authors_claims(world: World, manifest: Manifest) -> None:
    record(world, manifest, "1.0.0", {"seen": "it"})
    data = world.events("release.admitted")[0]["data"]
    assert isinstance(data, dict)
    assert data["facts"] == {"seen": "it"}


def test_who_published_it_is_remembered_with_the_claims_of_their_token(world: World, manifest: Manifest) -> None:
    author = naming.author_of(record(world, manifest, "1.0.0").release)
    assert author == caller_of(AUTHOR)
    assert author.values("actor") == ("octocat",)
