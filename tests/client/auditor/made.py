"""Entries of a made-up log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegate.formats.entry import Entry, parse_entry
from tidegate.formats.jcs import JsonObject, canonical_bytes

START = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
ISSUER = "https://login.acme.example"
DIGEST = f"sha256:{'9f' * 32}"
OTHER = f"sha256:{'b0' * 32}"
POLICY = f"sha256:{'aa' * 32}"
RELEASE: JsonObject = {"repository": "acme/support", "version": "1.3.0", "digest": DIGEST}


def raw_entry(
    type_: str, data: JsonObject, *, seconds: float = 0, number: int = 0, name: str = "ana", kind: str = "human"
) -> bytes:
    at = START + timedelta(seconds=seconds)
    return canonical_bytes(
        {
            "id": f"019a0000-0000-7000-8000-{number:012x}",
            "version": 1,
            "type": type_,
            "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "actor": {"kind": kind, "issuer": ISSUER if kind != "system" else "", "name": name},
            "data": data,
        }
    )


def make_entry(
    type_: str,
    data: JsonObject,
    *,
    seconds: float = 0,
    index: int | None = 0,
    name: str = "ana",
    kind: str = "human",
) -> Entry:
    raw = raw_entry(type_, data, seconds=seconds, number=index or 0, name=name, kind=kind)
    return parse_entry(raw, index=index)


def life_of_a_release() -> list[bytes]:
    """Published, seen by evaluations, promoted to canary and stable, replaced, revoked; with others in between."""
    move: JsonObject = {**RELEASE, "how": "promote", "previous": OTHER}
    evidence: JsonObject = {"repository": "acme/support", "subject": DIGEST, "issuer": ISSUER, "identity": "ci@acme"}
    asked: JsonObject = {**RELEASE, "promotion": "p1", "channel": "stable"}
    newer: JsonObject = {"repository": "acme/support", "version": "1.4.0", "digest": OTHER}
    told: list[tuple[str, JsonObject]] = [
        ("policy.applied", {"policy": "_company", "number": 1, "digest": POLICY, "reason": "the first"}),
        ("policy.applied", {"policy": "elsewhere", "number": 1, "digest": OTHER, "reason": "of others"}),
        ("evidence.verified", {**evidence, "predicate_type": "https://slsa.dev/provenance/v1"}),
        ("release.admitted", RELEASE),
        ("blob.stored", {"repository": "acme/else", "digest": OTHER, "size": 4}),
        ("channel.moved", {**move, "channel": "canary", "promotion": "p0"}),
        ("promotion.opened", asked),
        ("promotion.decided", {**asked, "allowed": False, "missing": ["approvals"], "policy": POLICY}),
        ("promotion.statement-filed", {**asked, "person": "ben"}),
        ("channel.moved", {**move, "channel": "stable", "promotion": "p1"}),
        ("channel.moved", {**newer, "channel": "stable", "promotion": "p2", "previous": DIGEST, "how": "promote"}),
        ("break-glass.reviewed", {"repository": "acme/support", "promotion": "p1", "finding": "justified"}),
        ("release.revoked", {**RELEASE, "reason": "leaks"}),
    ]
    return [raw_entry(type_, data, seconds=60 * place, number=place) for place, (type_, data) in enumerate(told)]
