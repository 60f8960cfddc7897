"""The log of a world, as an auditor reads it: its entries in order, and what lies beside them in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.auditor.replay.outcome import Replayed, Summary
from tidegate.auditor.replay.run import replay_log
from tidegate.auditor.source import LogSource, ReadFile
from tidegate_registry.audit.objects import store_objects
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.storage.blobs import LogKey

if TYPE_CHECKING:
    from tests.registry.admission.world import GateWorld
    from tidegate.verify.trust import Trust


def entries_of(world: GateWorld) -> list[tuple[int, bytes]]:
    """What the integrator gives indices to, in the order of writing."""
    with world.services.db.read() as tx:
        rows = tx.exec(select(AuditEventRow).order_by(col(AuditEventRow.position))).all()
        return [(index, row.body) for index, row in enumerate(rows)]


def reader_of(world: GateWorld) -> ReadFile:
    """Reads everything that entries name, once it is put beside the log."""
    store_objects(world.services)

    def read(path: str, limit: int) -> bytes | None:
        found = world.services.blobs.read(LogKey(path), limit=limit)
        return None if found is None else found[0]

    return read


def source_of(world: GateWorld) -> LogSource:
    """The same as an auditor has it."""
    return LogSource("the store", reader_of(world))


def replay_world(world: GateWorld, *, today: Trust | None = None, processes: int = 1) -> tuple[Summary, list[Replayed]]:
    """Replay everything that was decided in `world`."""
    told: list[Replayed] = []
    source = source_of(world)
    summary = replay_log(entries_of(world), source, today=today, processes=processes, tell=told.append)
    return summary, told
