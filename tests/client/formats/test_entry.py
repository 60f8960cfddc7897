"""Entries of the audit log: one envelope, closed, whose bytes are the only way to write it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidegate.errors import EntryInvalid
from tidegate.formats.entry import MAX_ENTRY_BYTES, Actor, EntryType, is_entry_type, parse_entry
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes

GOOD: JsonObject = {
    "id": "0195514b-d6c0-7000-8000-000000000001",
    "version": 1,
    "type": "channel.moved",
    "at": "2026-03-01T12:00:00.123456Z",
    "actor": {"kind": "human", "issuer": "https://login.acme.example", "name": "8f3a", "person": "anna"},
    "data": {"repository": "acme/agent"},
}


def test_an_entry_is_read_from_its_exact_bytes() -> None:
    raw = canonical_bytes(GOOD)
    found = parse_entry(raw, index=7)
    assert (found.id, found.version, found.type, found.index) == (GOOD["id"], 1, EntryType.CHANNEL_MOVED, 7)
    assert found.at == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert found.actor == Actor("human", "https://login.acme.example", "8f3a", "anna")
    assert str(found.actor) == "anna"
    assert found.data == {"repository": "acme/agent"}
    assert found.raw is raw


def test_a_type_that_is_not_known_here_is_read_all_the_same() -> None:
    assert parse_entry(canonical_bytes(GOOD | {"type": "rollout.step-taken", "version": 3})).version == 3


def test_names_of_types_are_names_of_types() -> None:
    assert all(is_entry_type(each) for each in EntryType)


ACTOR: JsonObject = {"kind": "system", "issuer": "", "name": "registry"}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0195514b-d6c0-4000-8000-000000000001"},
        {"id": "0195514B-D6C0-7000-8000-000000000001"},
        {"id": None},
        {"version": 0},
        {"version": True},
        {"version": "1"},
        {"version": 1001},
        {"type": "moved"},
        {"type": "Channel.moved"},
        {"type": f"a.{'b' * 63}"},
        {"at": "2026-03-01T12:00:00Z"},
        {"at": "2026-03-01T13:00:00.000000+01:00"},
        {"at": "2026-02-30T12:00:00.000000Z"},
        {"actor": "registry"},
        {"actor": {"kind": "system", "name": "registry"}},
        {"actor": ACTOR | {"email": "anna@acme.example"}},
        {"actor": ACTOR | {"name": ""}},
        {"actor": ACTOR | {"person": None}},
        {"actor": ACTOR | {"person": "p" * 65}},
        {"data": []},
        {"more": 1},
    ],
    ids=str,
)
def test_another_envelope_is_refused(change: dict[str, JsonValue]) -> None:
    with pytest.raises(EntryInvalid) as caught:
        parse_entry(canonical_bytes(GOOD | change))
    assert caught.value.reasons[0].code == "entry-envelope"


@pytest.mark.parametrize("absent", GOOD)
def test_a_member_that_is_absent_is_missed(absent: str) -> None:
    with pytest.raises(EntryInvalid) as caught:
        parse_entry(canonical_bytes({name: value for name, value in GOOD.items() if name != absent}))
    assert caught.value.reasons[0].code == "entry-envelope"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (canonical_bytes(GOOD) + b"\n", "entry-not-canonical"),
        (canonical_bytes(GOOD).replace(b'"version":1', b'"version": 1'), "entry-not-canonical"),
        (b'{"id":"x","id":"y"}', "entry-malformed"),
        (b"", "entry-malformed"),
        (canonical_bytes(GOOD | {"data": {"x": "x" * MAX_ENTRY_BYTES}}), "entry-too-large"),
    ],
)
def test_other_bytes_are_refused(raw: bytes, code: str) -> None:
    with pytest.raises(EntryInvalid) as caught:
        parse_entry(raw)
    assert caught.value.reasons[0].code == code
