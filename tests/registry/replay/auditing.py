"""The log of a world, published as its worker would, and read as an auditor reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from tests.registry.audit.publishing import log_signer, publish_log
from tidegate.auditor.replay.outcome import Replayed, Summary
from tidegate.auditor.replay.run import replay_log
from tidegate.auditor.source import LogSource, ReadFile, object_path
from tidegate.digest import Digest
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.note import verify_note
from tidegate.tlog.reader import TileReader
from tidegate_registry.audit.tables import LogObjectRow
from tidegate_registry.storage.blobs import LogKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry.admission.world import GateWorld
    from tidegate.verify.trust import Trust


def reader_of(world: GateWorld) -> ReadFile:
    """Reads the files of the published log from the store."""
    publish_log(world.services)

    def read(path: str, limit: int) -> bytes | None:
        found = world.services.blobs.read(LogKey(path), limit=limit)
        return None if found is None else found[0]

    return read


def source_of(world: GateWorld) -> LogSource:
    """The same as an auditor has it."""
    return LogSource("the store", reader_of(world))


def entries_of(world: GateWorld) -> list[tuple[int, bytes]]:
    """Every entry, checked against the signed root on the way."""
    return list(_reader(world, source_of(world)).entries(0, 1 << 20))


def _reader(world: GateWorld, source: LogSource) -> TileReader:
    note = verify_note(source.checkpoint(), (log_signer(world.services).key,)).note
    return TileReader(source.fetch, Checkpoint.parse(note.text))


def replay_world(world: GateWorld, *, today: Trust | None = None, processes: int = 1) -> tuple[Summary, list[Replayed]]:
    """Replay everything that was decided in `world`."""
    told: list[Replayed] = []
    entries, source = entries_of(world), source_of(world)
    summary = replay_log(entries, source, today=today, processes=processes, tell=told.append)
    return summary, told


def copy_log(world: GateWorld, folder: Path) -> None:
    """Copy the published log, as a copy of its part of the bucket would be."""
    paths = list[str]()
    source = source_of(world)

    def fetch(path: str) -> bytes | None:
        paths.append(path)
        return source.fetch(path)

    note = verify_note(source.checkpoint(), (log_signer(world.services).key,)).note
    for _ in TileReader(fetch, Checkpoint.parse(note.text)).entries(0, 1 << 20):
        pass
    files = {path: source.fetch(path) for path in paths} | {"checkpoint": source.checkpoint()}
    with world.services.db.read() as tx:
        for each in set(tx.exec(select(LogObjectRow.digest)).all()):
            files[object_path(Digest(each))] = source.object(Digest(each))
    for path, raw in files.items():
        if raw is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(raw)
