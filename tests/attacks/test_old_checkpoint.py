"""Somebody puts another checkpoint into the bucket: an older one, one of theirs, or one that nobody published."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.registry.audit.logworld import ORIGIN, LogWorld, log_world
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Ed25519Signer, NoteSigner, sign_note
from tidegate_registry.audit.problems import LogAhead, LogBehind, LogForked, LogHalted


@pytest.fixture
def world(database_url: str) -> Iterator[LogWorld]:
    with log_world(database_url) as made:
        made.append(300)
        made.finish()
        yield made


def put(world: LogWorld, size: int, root: bytes, signer: NoteSigner | None = None, origin: str = ORIGIN) -> bytes:
    raw = sign_note(Checkpoint(origin, size, root).text, (signer or world.signer,))
    world.bucket.files["checkpoint"] = raw
    return raw


def demand_stopped(world: LogWorld, kind: type[LogHalted], *, leading: bool) -> None:
    """Both who leads already and who begins to: nothing replaces what was put there."""
    integrator, lease = world.integrator(), world.lead()
    there = world.bucket.files["checkpoint"]
    if leading:
        world.bucket.files["checkpoint"] = world.published
        world.finish(integrator, lease)
        world.bucket.files["checkpoint"] = there
        world.append(1)
    with pytest.raises(kind) as caught:
        world.finish(integrator, lease)
    assert caught.value.reasons[0].code == kind.code
    assert world.bucket.files["checkpoint"] == there


both = pytest.mark.parametrize("leading", [True, False])


@both
def test_a_checkpoint_of_an_older_size_is_not_continued_though_our_key_signed_it(
    world: LogWorld,
    leading: bool,  # noqa: FBT001
) -> None:
    old = Edge()
    old.grow(world.bodies()[:200])
    world.bucket.files |= dict(Edge().grow(world.bodies()[:200]))
    put(world, 200, old.root)
    demand_stopped(world, LogBehind, leading=leading)


@both
def test_a_checkpoint_that_is_gone_is_not_taken_for_a_new_log(world: LogWorld, leading: bool) -> None:  # noqa: FBT001
    del world.bucket.files["checkpoint"]
    integrator, lease = world.integrator(), world.lead()
    if leading:
        world.bucket.files["checkpoint"] = world.published
        world.finish(integrator, lease)
        del world.bucket.files["checkpoint"]
        world.append(1)
    with pytest.raises(LogBehind):
        world.finish(integrator, lease)
    assert "checkpoint" not in world.bucket.files


@both
def test_another_root_of_the_same_size_is_a_fork(world: LogWorld, leading: bool) -> None:  # noqa: FBT001
    put(world, 300, b"\1" * 32)
    demand_stopped(world, LogForked, leading=leading)


@both
def test_a_checkpoint_that_another_key_signed_is_not_ours(world: LogWorld, leading: bool) -> None:  # noqa: FBT001
    put(world, 300, world.checkpoint().root, Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate()))
    demand_stopped(world, LogForked, leading=leading)


def test_a_checkpoint_of_another_log_that_our_key_signed_is_not_ours(world: LogWorld) -> None:
    put(world, 300, world.checkpoint().root, origin="another.example/log")
    demand_stopped(world, LogForked, leading=False)


def test_a_larger_log_with_all_its_tiles_stops_even_who_could_verify_it(world: LogWorld) -> None:
    larger = Edge.load(300, world.bucket.files.get)
    world.bucket.files |= dict(larger.grow([b"{}"] * 10))
    put(world, 310, larger.root)
    demand_stopped(world, LogAhead, leading=False)
