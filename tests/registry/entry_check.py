"""Every entry that a test's registry writes is read back as auditors read it, and held to the schema of its type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import sqlalchemy
from jsonschema import Draft202012Validator
from sqlalchemy import Engine, event

from tidegate.formats.entry import parse_entry
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.entry_types import event_types, schema

# a signed token, that of an enrolment, a private key, the signature in a link to the store
CREDENTIAL = re.compile(rb"eyJ[\w-]{10,}\.eyJ|tdge_[0-9a-f]{8}-|PRIVATE KEY|X-Amz-Signature|Bearer [\w-]{20,}")


@cache
def _validators() -> dict[str, Draft202012Validator]:
    found = schema()
    return {
        kind.type: Draft202012Validator(found | {"allOf": [{"properties": {"data": {"$ref": f"#/$defs/{kind.type}"}}}]})
        for kind in event_types()
    }


def check_entry(raw: bytes) -> None:
    """Fail unless these are the bytes of an entry of a type of ours."""
    entry = parse_entry(raw)
    assert not CREDENTIAL.search(raw), f"{entry.type} holds a credential"
    assert entry.actor.kind != "human" or "@" not in entry.actor.name, f"{entry.type} calls somebody by their address"
    members = {"kind": entry.actor.kind, "issuer": entry.actor.issuer, "name": entry.actor.name}
    actor = members if entry.actor.person is None else members | {"person": entry.actor.person}
    at = entry.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    document = {"id": entry.id, "version": entry.version, "type": entry.type, "at": at, "actor": actor}
    faults = [fault.message for fault in _validators()[entry.type].iter_errors(document | {"data": entry.data})]
    assert not faults, f"{entry.type}: {faults}"


@contextmanager
def checked_entries() -> Iterator[None]:
    """Check each entry as it is inserted, in whatever thread; what fails there fails the request."""

    def look(_: object, clause: object, many: list[dict[str, object]], one: dict[str, object], __: object) -> None:
        if isinstance(clause, sqlalchemy.Insert) and clause.table is sqlalchemy.inspect(AuditEventRow).local_table:
            for row in many or [one]:
                if row.get("type") in _validators() and isinstance(body := row.get("body"), bytes):
                    check_entry(body)  # tests make up some of their own

    event.listen(Engine, "before_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_execute", look)
