"""A database that was restored from an old dump gets back what the published log has, and goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.registry.audit.logworld import Happened, Killed, LogWorld, dying_at, log_world
from tidegate.tlog.edge import Edge
from tidegate.tlog.tiles import entries_path
from tidegate_registry.audit import leader, sequence
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.audit.halt import LogWatch
from tidegate_registry.audit.problems import LogAhead, LogBehind, LogForked, LogMissing
from tidegate_registry.db import DatabaseUnavailable
from tidegate_registry.keeping.events import LogRestored
from tidegate_registry.keeping.restoring import RegistryRunning, Restored, restore
from tidegate_registry.storage.blobs import StoredObject

OPERATOR = Actor(kind="operator", issuer="", name="olga")


@pytest.fixture
def world(database_url: str) -> Iterator[LogWorld]:
    with log_world(database_url, batch=500) as made:
        yield made


def bring_back(world: LogWorld) -> Restored:
    free_lease(world)
    done = restore(world.app, OPERATOR, world.signer.key)
    if done.changed:
        world.written += 1  # the entry that says so
    return done


def free_lease(world: LogWorld) -> None:
    with world.db.connect() as connection:
        connection.execute(text("UPDATE leadership SET expires_at = 0"))


def root_at(world: LogWorld, size: int) -> bytes:
    edge = Edge()
    edge.grow(sequence.load_entries(world.db, range(size)) if size else [])
    return edge.root


def fall_back(world: LogWorld, size: int) -> None:
    """Make the database what a dump of when the log had `size` entries holds."""
    root = root_at(world, size)
    with world.db.connect() as connection:
        connection.execute(text("DELETE FROM audit_event WHERE idx >= :size"), {"size": size})
        connection.execute(
            text("UPDATE log_state SET assigned = :size, published = :size, root = :root"), {"size": size, "root": root}
        )


@pytest.mark.parametrize("lost", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_an_old_dump_gets_what_it_lacks_back_under_its_indices(world: LogWorld, lost: int) -> None:
    world.append(lost + 300)
    world.finish()
    fall_back(world, 300)
    with pytest.raises(LogAhead) as caught:
        world.finish()
    assert caught.value.code == "log-ahead"
    done = bring_back(world)
    assert (done.imported, done.placed, done.displaced, done.corrected) == (lost, 0, 0, [])
    world.append(3)
    world.finish()
    assert world.everything_is_in()
    assert not bring_back(world).changed


def test_what_a_lagging_replica_wrote_after_it_took_over_comes_after_what_was_published(world: LogWorld) -> None:
    world.append(600)
    world.finish()
    fall_back(world, 400)
    world.append(50)  # the replica did not know better
    lease = world.lead("lagging")
    assert sequence.assign(world.db, lease, limit=100, at_least=400) == 450
    with pytest.raises(LogAhead):
        world.finish()
    done = bring_back(world)
    assert (done.imported, done.displaced) == (200, 50)
    world.finish()
    assert world.verify() == 600 + 50 + 1 == world.written


def test_a_replica_that_gave_more_indices_than_are_public_is_behind_all_the_same(world: LogWorld) -> None:
    """Its numbers alone look as if it knew all that is published."""
    world.append(600)
    world.finish()
    fall_back(world, 400)
    world.append(250)
    assert sequence.assign(world.db, world.lead("lagging"), limit=300, at_least=400) == 650
    with pytest.raises(LogAhead):
        world.finish()
    LogWatch(world.app, None).look()
    with pytest.raises(LogAhead) as caught, world.db.begin():
        raise AssertionError("not reached")
    assert caught.value.code == "log-ahead"
    world.db.held = None  # a restore is a process of its own
    assert bring_back(world).imported == 200
    LogWatch(world.app, None).look()
    world.finish()
    assert world.verify() == 600 + 250 + 1 == world.written


def test_entries_that_were_committed_before_the_dump_and_indexed_after_it_are_not_written_twice(
    world: LogWorld,
) -> None:
    world.append(300)
    world.finish()
    root = root_at(world, 280)
    with world.db.connect() as connection:  # the rows were in the dump, without an index
        connection.execute(text("UPDATE audit_event SET idx = NULL WHERE idx >= 280"))
        connection.execute(text("UPDATE log_state SET assigned = 280, published = 280, root = :root"), {"root": root})
    done = bring_back(world)
    assert (done.imported, done.placed) == (0, 20)
    world.finish()
    assert world.everything_is_in()


def test_an_entry_that_was_altered_in_the_database_gets_the_bytes_of_the_log_and_is_told(world: LogWorld) -> None:
    world.append(10)
    world.finish()
    with world.db.connect() as connection:
        (id_,) = connection.execute(text("SELECT id FROM audit_event WHERE idx = 4")).scalars()
        connection.execute(text("UPDATE audit_event SET body = :body WHERE idx = 4"), {"body": b"{}"})
    done = bring_back(world)
    assert done.corrected == [id_]
    world.finish()
    assert world.everything_is_in()


@pytest.mark.parametrize("altered", [entries_path(0, 44), "checkpoint"])
def test_from_a_log_that_contradicts_itself_nothing_is_restored(world: LogWorld, altered: str) -> None:
    world.append(44)
    world.finish()
    fall_back(world, 20)
    raw = world.bucket.files[altered]
    world.bucket.files[altered] = raw.replace(b'"number":7', b'"number":8') if altered != "checkpoint" else raw[:-9]
    free_lease(world)
    with pytest.raises(LogForked) as caught:
        restore(world.app, OPERATOR, world.signer.key)
    assert caught.value.code == "log-forked"
    with world.db.read() as tx:
        assert len(audit.entries(tx, limit=1000)) == 20


def test_files_that_only_the_lost_database_could_explain_give_way(world: LogWorld) -> None:
    world.append(10)
    world.finish()
    checkpoint = world.bucket.files["checkpoint"]
    world.append(5)
    world.finish()
    world.bucket.files["checkpoint"] = checkpoint  # it died between its tiles and its checkpoint
    fall_back(world, 8)
    world.written -= 5
    assert bring_back(world).imported == 2
    world.append(4)  # others, in the same places
    world.finish()
    assert world.everything_is_in()


def test_an_old_copy_of_the_bucket_gets_the_rest_from_the_database(world: LogWorld) -> None:
    world.append(700)
    world.finish()
    old = dict(world.bucket.files)
    world.append(200)
    world.finish()
    world.bucket.files = old
    del world.bucket.files[entries_path(0)]  # and a file was lost
    with pytest.raises(LogBehind) as caught:
        world.finish()
    assert caught.value.code == "log-behind"
    assert bring_back(world).written > 0
    world.finish()
    assert world.everything_is_in()


def test_a_restore_beside_a_running_registry_is_refused(world: LogWorld) -> None:
    world.append(3)
    world.finish()
    world.lead("a registry")
    with pytest.raises(RegistryRunning) as caught:
        restore(world.app, OPERATOR, world.signer.key)
    assert caught.value.code == "registry-running"


def test_without_a_published_log_there_is_nothing_to_restore_from(world: LogWorld) -> None:
    with pytest.raises(LogMissing) as caught:
        restore(world.app, OPERATOR, world.signer.key)
    assert caught.value.code == "log-missing"


@pytest.mark.slow
def test_a_restore_that_dies_at_any_line_is_finished_by_the_next(world: LogWorld) -> None:
    world.append(30)
    world.finish()
    number = 0
    while True:
        number += 7  # each request would take a minute; these are spread over all of them
        fall_back_once_more(world)
        free_lease(world)
        try:
            with dying_at(world, number) as seen:
                restore(world.app, OPERATOR, world.signer.key)
        except (Killed, DatabaseUnavailable, ProgrammingError):  # a dead process would not give its lease back
            bring_back(world)
        else:
            world.written += 1
        world.finish()
        world.verify()
        with world.db.read() as tx:
            kept = [row.type for row in audit.entries(tx, limit=10_000)]
        assert kept.count(Happened.type) == 30
        if seen[0] < number:
            return


def fall_back_once_more(world: LogWorld) -> None:
    fall_back(world, 20)


def test_the_lease_is_given_back(world: LogWorld) -> None:
    world.append(3)
    world.finish()
    bring_back(world)
    assert leader.acquire(world.db, sequence.LOG, "next") is not None


def test_who_was_overtaken_imports_nothing_more(world: LogWorld) -> None:
    world.append(30)
    world.finish()
    fall_back(world, 20)
    free_lease(world)

    def overtake(_: int) -> None:
        world.lead("a registry")

    with pytest.raises(leader.LeadershipLost) as caught:
        restore(world.app, OPERATOR, world.signer.key, advance=overtake)
    assert caught.value.code == "leadership-lost"
    with world.db.read() as tx:
        assert len(audit.entries(tx, limit=100)) == 20


def test_nothing_is_removed_that_was_published_while_a_restore_was_held_up(world: LogWorld) -> None:
    world.append(10)
    world.finish()
    free_lease(world)
    listed = world.bucket.list

    def held_up(prefix: str) -> Iterator[StoredObject]:
        world.append(5)
        world.finish()  # a registry that was not stopped took over
        return listed(prefix)

    with pytest.raises(leader.LeadershipLost):
        restore_while(world, held_up)
    assert world.everything_is_in()


def test_a_leader_that_was_paused_and_publishes_late_loses_no_file(world: LogWorld) -> None:
    """It does not hold the lease any more; what it has read of the checkpoint is still true, so it is published."""
    world.append(10)
    world.finish()
    old = world.bucket.files["checkpoint"]
    world.append(5)
    world.finish()
    late, world.bucket.files["checkpoint"] = world.bucket.files["checkpoint"], old
    free_lease(world)
    listed = world.bucket.list
    with world.db.connect() as connection:
        root = root_at(world, 10)
        connection.execute(text("UPDATE audit_event SET idx = NULL WHERE idx >= 10"))
        connection.execute(text("UPDATE log_state SET assigned = 10, published = 10, root = :root"), {"root": root})

    def held_up(prefix: str) -> Iterator[StoredObject]:
        world.bucket.files["checkpoint"] = late
        return listed(prefix)

    with pytest.raises(leader.LeadershipLost):
        restore_while(world, held_up)
    assert bring_back(world).placed == 5
    world.finish()
    assert world.everything_is_in()


def test_a_file_of_another_name_among_those_of_the_log_is_in_nobodys_way(world: LogWorld) -> None:
    world.append(30)
    world.finish()
    fall_back(world, 20)
    world.bucket.files["tile/0/readme"] = b"hello"
    assert bring_back(world).imported == 10
    del world.bucket.files["tile/0/readme"]
    world.finish()
    assert world.everything_is_in()


def test_a_restore_that_is_finished_by_the_next_is_told_in_the_log(world: LogWorld) -> None:
    world.append(30)
    world.finish()
    fall_back(world, 20)
    free_lease(world)
    with pytest.raises(Killed):
        restore_while(world, killed)
    assert bring_back(world).imported == 0
    with world.db.read() as tx:
        assert len(audit.entries(tx, type_=LogRestored.type)) == 1
    world.finish()
    assert world.everything_is_in()


def restore_while(world: LogWorld, listing: Callable[[str], Iterator[StoredObject]]) -> None:
    """Have `listing` happen between the imports and the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.bucket, "list", listing)
        restore(world.app, OPERATOR, world.signer.key)


def killed(_: str) -> Iterator[StoredObject]:
    raise Killed
