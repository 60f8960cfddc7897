"""Entries: canonical, complete, in order, and never larger than a log can take."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate_registry
from tidegate.digest import Digest
from tidegate.errors import JsonInvalid, Reason
from tidegate.formats.entry import MAX_ENTRY_BYTES, EntryType, is_entry_type
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate_registry.access.principal import ANONYMOUS
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Actor, Event, timestamp
from tidegate_registry.audit.service import make_event_id
from tidegate_registry.db import Db
from tidegate_registry.entry_types import event_types, schema

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    type: ClassVar[str] = "test.happened"

    repository: str = "acme/agent"
    digests: tuple[Digest, ...] = ()
    reasons: tuple[Reason, ...] = ()
    note: str | None = None
    thing: object = None


@pytest.fixture
def db(database_url: str) -> Iterator[Db]:
    db = Db(database_url)
    db.create_all()
    yield db
    db.close()


def test_an_entry_is_the_canonical_json_of_what_happened(db: Db) -> None:
    event = Happened(at=AT, actor=SYSTEM, digests=(Digest.of(b"x"),), reasons=(Reason(code="c", message="m"),))
    with db.begin() as tx:
        event_id = audit.append(tx, event)
    with db.read() as tx:
        (row,) = audit.entries(tx)
    assert (row.id, row.type, row.at, row.actor, row.subject) == (event_id, event.type, AT, "registry", "acme/agent")
    document = parse_object(row.body, limit=MAX_ENTRY_BYTES, what="the entry")
    assert document == {
        "id": event_id,
        "version": 1,
        "type": "test.happened",
        "at": "2026-03-01T12:00:00.123456Z",
        "actor": {"kind": "system", "issuer": "", "name": "registry"},
        "data": {
            "repository": "acme/agent",
            "digests": [Digest.of(b"x")],
            "reasons": [{"code": "c", "message": "m"}],
        },
    }
    assert canonical_bytes(document) == row.body


def test_ids_are_version_seven_and_sort_by_time() -> None:
    ids = [make_event_id(AT + timedelta(milliseconds=n), lambda size: b"\xff" * size) for n in range(0, 5000, 7)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}


@given(st.integers(0, 200_000_000_000), st.binary(min_size=10, max_size=10))
def test_an_id_tells_its_second(second: int, random: bytes) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    assert uuid.UUID(make_event_id(moment, lambda _: random)).int >> 80 == second * 1000


def test_what_an_auditor_could_not_read_is_not_written(db: Db) -> None:
    with pytest.raises(JsonInvalid) as caught, db.begin() as tx:
        audit.append(tx, Happened(at=AT, actor=SYSTEM, note="nul \0"))
    assert caught.value.reasons[0].code == "json-invalid"


def test_a_moment_is_written_in_utc_and_one_without_a_zone_is_refused() -> None:
    assert timestamp(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-03-01T12:00:00.123456Z"
    with pytest.raises(ValueError, match="time zone"):
        timestamp(AT.replace(tzinfo=None))


def test_an_entry_too_large_for_a_log_tile_is_not_written(db: Db) -> None:
    with pytest.raises(ValueError, match="does not fit"), db.begin() as tx:
        audit.append(tx, Happened(at=AT, actor=SYSTEM, note="x" * MAX_ENTRY_BYTES))
    with db.read() as tx:
        assert audit.entries(tx) == []


def test_what_has_no_json_form_is_not_guessed(db: Db) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"), db.begin() as tx:
        audit.append(tx, Happened(at=AT, actor=SYSTEM, thing={1, 2}))


def test_the_actor_of_a_principal_is_its_identity() -> None:
    assert Actor.of(ANONYMOUS) == Actor(kind="anonymous", issuer="", name="anonymous")


def test_every_event_class_is_known_and_has_a_type_of_its_own() -> None:
    kinds = event_types()
    assert len({kind.type for kind in kinds}) == len(kinds)
    assert all(is_entry_type(kind.type) for kind in kinds)
    assert {str(each) for each in EntryType} == {kind.type for kind in kinds}, "the client has a name for each"
    sources = Path(tidegate_registry.__file__).parent.rglob("*.py")
    written = {name for path in sources for name in re.findall(r"ClassVar\[str\] = \"([a-z.-]+)\"", path.read_text())}
    assert written == {kind.type for kind in kinds}, "entry_types.ROOMS lacks a room"


# DESIGN of the log: each change of state that it lists, and by which types it is told
STATE = {
    "publish": {
        "admission.decided",
        "release.admitted",
        "release.pending",
        "release.pending-ended",
        "blob.stored",
        "manifest.stored",
    },
    "working tag": {"working-tag.moved"},
    "refusal": {"request.refused", "request.refusals-suppressed"},
    "failed login": {"request.refused", "request.refusals-suppressed"},
    "evidence": {"evidence.verified"},
    "approval": {"promotion.statement-filed", "policy.approved"},
    "promotion": {"promotion.opened", "promotion.decided", "promotion.closed", "channel.moved"},
    "summary": {"vsa.attached", "vsa.not-made"},
    "rollback": {"channel.moved", "channel.hold-lifted"},
    "revocation": {"release.revoked"},
    "policy version": {"policy.proposed", "policy.applied", "policy.reverted"},
    "role": {"policy.applied", "policy.reverted", "trust.changed"},
    "charter": {"trust.changed"},
    "host enrolment": {"enrolment.made", "enrolment.redeemed"},
    "break-glass": {"break-glass.used", "break-glass.reviewed"},
    "removal": {"manifest.removed", "blob.removed"},
    "repair": {"record.repaired", "object.restored", "log.restored", "log.object-missing"},
}


def test_every_change_of_state_is_told_and_every_type_tells_of_one() -> None:
    assert set().union(*STATE.values()) == {kind.type for kind in event_types()}


def most_bytes(shape: JsonValue, schema: JsonObject) -> int:
    """Give how long canonical JSON of this schema can get. What is bounded by who makes the event counts as nothing."""
    assert isinstance(shape, dict)
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    if "$ref" in shape:
        name = str(shape["$ref"]).removeprefix("#/$defs/")
        return 0 if name == "reason" else most_bytes(definitions[name], schema)
    if "enum" in shape:
        return 64
    kind = shape["type"]
    if kind == "string":
        is_ascii = "pattern" in shape or shape.get("maxLength", 0) in {128, 64}
        return 2 + int(str(shape.get("maxLength", 40))) * (1 if is_ascii else WIDEST)
    if kind == "array":
        return 2 + int(str(shape["maxItems"])) * (1 + most_bytes(shape["items"], schema))
    if kind == "object":
        properties = shape.get("properties", {})
        assert isinstance(properties, dict)
        return 2 + sum(len(name) + 4 + most_bytes(each, schema) for name, each in properties.items())
    return 21  # a number, or a word


WIDEST = 4  # bytes of one character, in UTF-8
DYNAMIC = {"facts": 16 << 10, "reasons": 40 << 10}  # naming.MAX_ENTRY_FACTS_BYTES, refusals.MAX_DATA_BYTES


@pytest.mark.parametrize("kind", event_types(), ids=lambda kind: kind.type)
def test_no_entry_can_get_too_large_whatever_a_caller_sends(kind: type[Event]) -> None:
    found = schema()
    definitions = found["$defs"]
    assert isinstance(definitions, dict)
    data = definitions[kind.type]
    assert isinstance(data, dict)
    assert isinstance(data["properties"], dict)
    dynamic = sum(size for name, size in DYNAMIC.items() if name in data["properties"])
    envelope = 200 + most_bytes(definitions["actor"], found)
    assert envelope + dynamic + most_bytes(data, found) <= MAX_ENTRY_BYTES
