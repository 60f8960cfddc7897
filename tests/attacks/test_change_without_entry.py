"""Somebody, or a fault of ours, changes what the registry holds and the log says nothing of it, or the other way round.

Change and entry are one transaction, and the transaction itself refuses to end with only one of them.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, select

import tidegate_registry
from tests.registry.world import AGENT, T0, World
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Refused
from tidegate_registry.audit.service import LogObject
from tidegate_registry.audit.tables import AuditEventRow, LogObjectRow
from tidegate_registry.db import BOOKKEEPING, SCRATCH, Db, NotAudited
from tidegate_registry.tables import load

SOURCE = Path(tidegate_registry.__file__).parent
# who may open a connection past the guard: the schema's migrations
UNGUARDED = {"migrations/__init__.py", "migrations/env.py", "db.py"}


def entry() -> Refused:
    return Refused(at=T0, actor=SYSTEM, operation="TEST", code="test", reasons=())


def count(db: Db) -> tuple[int, int]:
    with db.read() as tx:
        return len(tx.exec(select(AuditEventRow.id)).all()), len(tx.exec(select(LogObjectRow.entry)).all())


def test_no_table_of_state_can_be_changed_without_an_entry(world: World) -> None:
    load()
    tables = SQLModel.metadata.tables.keys() - SCRATCH - BOOKKEEPING
    assert len(tables) > 15
    db = world.services.db
    for table in sorted(tables):
        for transaction in (db.begin, db.scratch, db.bookkeeping):
            with pytest.raises(NotAudited), transaction() as tx:
                tx.connection().execute(text(f'DELETE FROM "{table}"'))  # noqa: S608 - names of our own tables


def test_the_entry_is_gone_when_the_change_cannot_be_made(world: World) -> None:
    db = world.services.db

    def change() -> None:
        with db.begin() as tx:
            audit.append(tx, entry(), objects=[LogObject.of(b"what it names")])
            tx.connection().execute(text("INSERT INTO repository (name) VALUES (NULL)"))

    with pytest.raises(Exception, match=r"(?i)null"):
        change()
    assert count(db) == (0, 0)


def test_the_change_is_gone_when_the_entry_cannot_be_written(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    with world.services.db.connect() as connection:
        connection.execute(text("ALTER TABLE audit_event RENAME TO taken_away"))
    try:
        assert world.put(client, manifest, "1.0.0").is_server_error
    finally:
        with world.services.db.connect() as connection:
            connection.execute(text("ALTER TABLE taken_away RENAME TO audit_event"))
    assert client.get(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 404


def test_nothing_but_append_writes_entries_and_nothing_but_the_schema_gets_past_the_guard() -> None:
    writers, unguarded = set(), set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = [each.id for each in node.args if isinstance(each, ast.Name)]
            if called == "AuditEventRow" or (called in {"insert", "_insert"} and "AuditEventRow" in given):
                writers.add(name)
            where = ast.unparse(node.func)
            if (called == "connect" and "db" in where) or (called in {"connect", "begin"} and ".engine" in where):
                unguarded.add(name)
    assert writers == {"audit/service.py"}
    assert unguarded <= UNGUARDED, unguarded - UNGUARDED
