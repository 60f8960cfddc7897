"""A release that was carried here: the registry admits it under its own charter, with all that came along."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.carrying import Carrier, released
from tests.registry.admission.world import GateWorld
from tests.workshop import AGENT, RELEASE_JOB, VERSION
from tidegate.errors import AdmissionRefused, Unauthenticated
from tidegate.releases.copy import Copied, copy
from tidegate.releases.ends import Connecting, Place
from tidegate_registry.sandbox.jobs import JobRequest


@pytest.fixture
def carrier(gate_world: GateWorld, tmp_path: Path) -> Carrier:
    gate_world.shop.now = datetime.now(UTC)
    return released(gate_world.shop, tmp_path / "origin")


def carry(world: GateWorld, source: Place, destination: Place, who: JobRequest | str = RELEASE_JOB) -> Copied:
    host = world.url.removeprefix("http://")
    token = world.shop.main.mint_token(who, world.url)
    environ: Mapping[str, str] = {"TIDEGATE_TOKEN": token, "HOME": "/nonexistent"}
    return copy(source, destination, trust=world.shop.trust, connecting=Connecting(host, environ=environ))


def test_an_archive_becomes_a_release_with_all_that_refers_to_it_and_comes_out_again_the_same(
    gate_world: GateWorld, carrier: Carrier, tmp_path: Path
) -> None:
    note = carrier.note()
    carrier.note(note, b"about the note")
    archive, again = tmp_path / "one.tar", tmp_path / "again.tar"
    carrier.to_archive(archive)
    copied = carry(gate_world, Place.of_source(archive), Place())
    assert copied.new
    assert copied.event
    assert not copied.left_out
    assert [each.counted for each in copied.sent] == [True, True, False, False]
    assert (
        str(copied.reference) == f"{gate_world.url.removeprefix('http://')}/{AGENT}:{VERSION}@{carrier.manifest.digest}"
    )
    carry(gate_world, Place.of_source(f"{AGENT}:{VERSION}"), Place(path=again, archive=True))
    assert again.read_bytes() == archive.read_bytes()


def test_a_second_copy_sends_only_what_is_new(gate_world: GateWorld, carrier: Carrier) -> None:
    source = Place.of_source(carrier.layout.path)
    carry(gate_world, source, Place())
    later = carrier.note(text=carrier.manifest.digest.encode())
    copied = carry(gate_world, source, Place())
    assert not copied.new
    assert [each.manifest.digest for each in copied.sent] == [later.digest]
    assert len(copied.present) == 2
    assert copied.blobs_sent == 1


def test_what_the_registry_does_not_take_as_evidence_is_named_and_stops_nothing(
    gate_world: GateWorld, carrier: Carrier
) -> None:
    noise = carrier.noise()
    copied = carry(gate_world, Place.of_source(carrier.layout.path), Place())
    assert copied.new
    assert [each.digest for each in copied.left_out] == [noise.digest]
    assert copied.left_out[0].reasons


def test_the_registrys_own_charter_decides_and_says_everything(gate_world: GateWorld, carrier: Carrier) -> None:
    own = gate_world.shop.publisher.model_copy(
        update={"workflow": None, "identity": "https://elsewhere.example/release"}
    )
    mirror = gate_world.shop.publisher.model_copy(update={"name": "mirror", "root": "other"})
    gate_world.govern(gate_world.shop.charter.model_copy(update={"publishers": (own, mirror)}))
    with pytest.raises(AdmissionRefused) as refused:
        carry(gate_world, Place.of_source(carrier.layout.path), Place())
    assert {"no-signature", "no-provenance"} <= {reason.code for reason in refused.value.reasons}


def test_a_token_for_another_registry_is_refused_with_the_variable_that_helps(
    gate_world: GateWorld, carrier: Carrier, tmp_path: Path
) -> None:
    environ = {
        "TIDEGATE_TOKEN": gate_world.shop.main.mint_token(RELEASE_JOB, "http://127.0.0.1:9"),
        "HOME": "/nonexistent",
    }
    host = gate_world.url.removeprefix("http://")
    with pytest.raises(Unauthenticated) as refused:
        copy(
            Place.of_source(f"{AGENT}:{VERSION}"),
            Place(path=tmp_path / "out"),
            trust=gate_world.shop.trust,
            connecting=Connecting(host, environ=environ),
        )
    assert "TIDEGATE_SOURCE_TOKEN" in str(refused.value.hint)
    assert not (tmp_path / "out").exists()
