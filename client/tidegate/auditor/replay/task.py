"""What one decision needs to be decided again: its entry, the objects that its record names, what the log knew then.

Made where the log is read, decided where there is a processor: everything here goes from one process to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json

from tidegate.auditor.replay.state import ADMISSION, Context
from tidegate.auditor.source import LogSource
from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, LogRefused, NotFound, Reason, Unreachable
from tidegate.formats.entry import Entry
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.policy.record import MAX_RECORD_BYTES

MAX_OBJECTS: Final = 8_000  # bundles of two manifests, both with as many as a verifier looks at, and some more
MAX_OBJECT_BYTES: Final = 768 << 20  # of one decision: twice what a host reads for one release, and its record


@dataclass(frozen=True, slots=True)
class Task:
    """One decision to replay. `objects`: bytes by digest, each hashed; `absent`: why others are not there."""

    entry: Entry
    context: Context
    objects: Mapping[Digest, bytes]
    absent: Mapping[Digest, Reason]


def gather(entry: Entry, context: Context, source: LogSource) -> Task:
    """Fetch all that the decision `entry` names. What is missing is told in the task.

    Raises Unreachable and whatever else says that the source itself cannot be read.
    """
    objects: dict[Digest, bytes] = {}
    absent: dict[Digest, Reason] = {}

    def fetch(digest: Digest) -> bytes | None:
        if digest in objects or digest in absent:
            return objects.get(digest)
        try:
            raw = source.object(digest)
        except Unreachable:
            raise
        except (NotFound, LogRefused) as error:
            absent[digest] = error.reasons[0]
            return None
        if sum(map(len, objects.values())) + len(raw) > MAX_OBJECT_BYTES:
            absent[digest] = Reason("log-objects-too-large", "the decision names more than can be read", str(digest))
            return None
        objects[digest] = raw
        return raw

    record = fetch(record_digest(entry))
    for digest in (*(_named(entry.type, record) if record is not None else ()), *_by_the_log(context)):
        fetch(digest)
    return Task(entry, context, objects, absent)


def record_digest(entry: Entry) -> Digest:
    """Give the digest of the record that an entry names."""
    return next(_digests(entry.data.get("record")), Digest.of(b""))


def _by_the_log(context: Context) -> Iterator[Digest]:
    """What the log says should have been looked at, whatever the record names."""
    yield from (each for texts in context.policies for each in texts if each is not None)
    yield from context.trusts
    yield from (each.bundle for each in (*context.attached, *context.baseline))
    standing = context.standing
    known = (*context.previous, *(() if standing is None else (standing.release, standing.serving)))
    yield from (each.record for each in known if each is not None)


def _named(kind: str, record: bytes) -> Iterator[Digest]:
    """What a record names, read quickly: whether it is as it should be is seen where it is judged."""
    try:
        document = from_json(record) if len(record) <= MAX_RECORD_BYTES else None
    except ValueError:
        return
    if not isinstance(document, dict):
        return
    if kind == ADMISSION:
        yield from _digests(document.get("manifest"))
        yield from _digests(_object(document.get("bundle")).get("config"))
        yield from _each(document.get("evidence"), "bundle")
        yield from _each(document.get("roots"), "digest")
        return
    named = _object(document.get("digests")).get("evidence")
    yield from _digests(*(named[:MAX_OBJECTS] if isinstance(named, list) else ()))
    yield from _each(_object(document.get("inputs")).get("roots"), "digest")


def _each(items: JsonValue, name: str) -> Iterator[Digest]:
    listed = items[:MAX_OBJECTS] if isinstance(items, list) else []
    yield from _digests(*(each.get(name) for each in listed if isinstance(each, dict)))


def _digests(*values: JsonValue) -> Iterator[Digest]:
    for value in values:
        try:
            digest = Digest.parse(value if isinstance(value, str) else "")
        except DigestInvalid:
            continue
        if digest.algorithm == "sha256":  # beside the log are objects by sha256 alone
            yield digest


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
