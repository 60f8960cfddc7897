"""What the vectors in tests/vectors/entries are made of: an entry of each type, and what is none, with reasons."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate_registry.audit.events import SYSTEM, Actor, Event, timestamp
from tidegate_registry.entry_types import Member, event_types, members_of

FOLDER = Path(__file__).parents[1] / "vectors" / "entries"
REASONS = "reasons.json"
AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
IDS = "01956ab1-64c0-7000-8000-0000000000%02x"
ANNA = Actor("human", "https://login.acme.example", "8f3a6c1e", "anna")
BUILD = Actor(
    "ci",
    "https://token.actions.githubusercontent.com",
    "https://github.com/acme/support-agent/.github/workflows/release.yml@refs/tags/v1.4.2",
)
BY_NAME: Mapping[str, object] = {
    "repository": "acme/support-agent",
    "namespace": "acme",
    "source": "staging",
    "version": "1.4.2",
    "tag": "nightly",
    "channel": "stable",
    "channels": ("stable",),
    "versions": ("1.4.1",),
    "reference": "1.4.2",
    "media_type": "application/vnd.oci.image.manifest.v1+json",
    "artifact_type": "application/vnd.tidegate.agent.v1+json",
    "predicate_type": "https://tidegate.dev/approval/v1",
    "issuer": "https://login.acme.example",
    "identity": "anna@acme.example",
    "signed_at": "2026-03-01T09:29:00.000000Z",
    "policy": "company",
    "role": "approver",
    "root": "public",
    "purpose": "host",
    "name": "edge-07",
    "person": "anna",
    "approvers": ("ben",),
    "signers": ("release-workflow",),
    "missing": ("evals",),
    "levels": ("SLSA_BUILD_LEVEL_2", "TIDEGATE_ADMITTED"),
    "passed_over": ("soak",),
    "gone": ("charter acme/old-agent",),
    "how": "promote",
    "action": "promote",
    "state": "withdrawn",
    "finding": "justified",
    "operation": "PUT /v2/{name}/manifests/{reference}",
    "code": "access-denied",
    "problem": "blob-missing",
    "was": "missing",
    "what": "the row was written anew",
    "why": "nothing names it and it is older than a week",
    "reason": "all checks passed in staging",
}
BY_TYPE: Mapping[tuple[str, str], object] = {
    ("blob.stored", "source"): "acme/base-agent",
    ("admission.decided", "policy"): Digest.of(b"policy"),
    ("promotion.decided", "policy"): Digest.of(b"policy"),
    ("object.restored", "source"): "a layout",
    ("release.admitted", "facts"): {"charter": Digest.of(b"charter"), "floor": {"ref": "protected-tag"}},
    ("release.pending-ended", "reason"): "expired",
}


def recipes() -> dict[str, bytes]:
    """Give the file of each vector, by its path in the folder."""
    found = {f"{kind.type}.json": example(kind, number) for number, kind in enumerate(event_types())}
    bad = _bad(found["channel.moved.json"])
    return {
        **found,
        **{f"{name}_fail.json": raw for name, (raw, _) in bad.items()},
        REASONS: canonical_bytes({name: reason for name, (_, reason) in bad.items()}) + b"\n",
    }


def example(kind: type[Event], number: int) -> bytes:
    """Write an entry of this type, every member set."""
    values = {member.name: _value(kind.type, member) for member in members_of(kind)}
    actor = BUILD if kind.type.split(".")[0] in {"release", "manifest", "blob", "evidence"} else ANNA
    if kind.type.startswith("log."):
        actor = SYSTEM
    event = kind(at=AT, actor=actor, **values)
    return canonical_bytes(
        {
            "id": IDS % number,
            "version": kind.entry_version,
            "type": kind.type,
            "at": timestamp(AT),
            "actor": actor.as_json(),
            "data": event.as_json(),
        }
    )


def _value(type_: str, member: Member) -> object:
    chosen = BY_TYPE.get((type_, member.name), BY_NAME.get(member.name))
    if chosen is not None:
        return chosen
    form, bare = member.form, member.annotation
    plain: Mapping[object, object] = {int: 3, bool: True, datetime: AT, Actor: ANNA}
    if bare in plain:
        return plain[bare]
    if form is None:
        raise LookupError(f"{type_}: no example of {member.name}")
    if bare is not str:
        item = typing.get_args(bare)[0]
        return (Reason("access-denied", "no role that may"),) if item is Reason else (Digest.of(member.name.encode()),)
    made = {"digest": Digest.of(member.name.encode()), "id": IDS % 0xEE}
    return made[form.name]


def _bad(good: bytes) -> dict[str, tuple[bytes, JsonObject]]:
    """Give what is no entry, with the code that the reader gives; `schema`: only the type's schema refuses it."""

    def of(raw: bytes, code: str) -> tuple[bytes, JsonObject]:
        return raw, {"code": code}

    by_schema: JsonObject = {"code": "schema"}
    return {
        "unknown-member-beside-data": of(good.replace(b'"version":1}', b'"version":1,"zone":"x"}'), "entry-envelope"),
        "id-of-version-4": of(good.replace(b'"id":"01956ab1-64c0-7', b'"id":"01956ab1-64c0-4'), "entry-envelope"),
        "time-with-offset": of(good.replace(b".123456Z", b".123456+00:00", 1), "entry-envelope"),
        "time-to-the-second": of(good.replace(b".123456Z", b"Z", 1), "entry-envelope"),
        "actor-with-an-address": of(
            good.replace(b'"actor":{', b'"actor":{"email":"anna@acme.example",'), "entry-envelope"
        ),
        "version-as-text": of(good.replace(b'"version":1}', b'"version":"1"}'), "entry-envelope"),
        "space": of(good.replace(b'"version":1}', b'"version": 1}'), "entry-not-canonical"),
        "members-in-another-order": of(_reversed(good), "entry-not-canonical"),
        "newline-at-the-end": of(good + b"\n", "entry-not-canonical"),
        "repeated-key": of(good.replace(b'"version":1}', b'"version":1,"version":1}'), "entry-malformed"),
        "member-missing-in-data": (good.replace(b'"channel":"stable",', b""), by_schema),
        "unknown-member-in-data": (good.replace(b'"counter":3', b'"counter":3,"counts":4'), by_schema),
        "digest-in-capitals": (good.replace(b'"digest":"sha256:', b'"digest":"SHA256:', 1), by_schema),
        "another-version-of-the-type": (good.replace(b'"version":1}', b'"version":2}'), by_schema),
        "type-of-nobody": (good.replace(b'"type":"channel.moved"', b'"type":"channel.mooved"'), by_schema),
    }


def _reversed(good: bytes) -> bytes:
    head, _, tail = good[1:-1].partition(b',"at":')
    return b'{"at":' + tail + b"," + head + b"}"
