"""Tell the log whom the registry trusts: once for each change, however many replicas see it.

A replica tells what it has loaded when that is another trust than the last that *it* told or found told: at its start,
and when its file changed. So two replicas whose files differ for a while, as somebody edits one after the other, do not
contradict each other again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import select

from tidegate.digest import Digest
from tidegate.errors import TrustFileInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.audit.fields import MAX_GONE, MAX_LISTED
from tidegate_registry.audit.service import LogObject
from tidegate_registry.db import insert_once
from tidegate_registry.trusting.events import TrustChanged
from tidegate_registry.trusting.tables import THE_TRUST, TrustStateRow

if TYPE_CHECKING:
    from tidegate.verify.trust import Trust
    from tidegate.verify.vsakey import VsaKey
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_DESCRIPTION_BYTES = 16 << 20  # a line for each root and charter
TRUST_SECONDS = 1  # how late the entry may be; the file is looked at by its times alone while it does not change


@dataclass(frozen=True, slots=True)
class Described:
    """A trust in words: `raw` is what the log names. `roots`, `charters`: their bytes by name."""

    raw: bytes
    roots: Mapping[str, bytes]
    charters: Mapping[str, bytes]


def describe_trust(trust: Trust) -> Described:
    """Describe whom `trust` trusts, in one canonical document."""
    roots = {root.name: root.raw for root in trust.roots}
    charters = {charter.agent: charter.canonical for charter in sorted(trust.charters, key=lambda each: each.agent)}
    document: JsonObject = {
        "roots": {root.name: {"digest": root.digest, "sandbox": root.sandbox} for root in trust.roots},
        "charters": {
            charter.agent: {"digest": charter.digest, "version": charter.version} for charter in trust.charters
        },
        "vsa": [{"name": key.name, "verifier": key.verifier, "key": _fingerprint(key)} for key in trust.vsa],
    }
    if trust.log is not None:
        witnesses: list[JsonValue] = [str(each) for each in trust.log.witnesses]
        document["log"] = {"key": str(trust.log.key), "need": trust.log.need, "witnesses": witnesses}
    return Described(canonical_bytes(document), roots, charters)


def _fingerprint(key: VsaKey) -> Digest:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Digest.of(key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


class TrustNotes:
    """Looks at the trust of this replica from time to time."""

    def __init__(self, app: Services) -> None:
        self._app = app
        self._told: Trust | None = None

    def look(self) -> None:
        """Write an entry if this replica trusts others than when it last looked, and the log does not know yet.

        A file that cannot be read changes nothing: the last good one stays in force. Raises DatabaseUnavailable; then
        it is told at the next look.
        """
        source = self._app.trust
        if source is None or not source.is_configured:
            return
        try:
            trust = source.current()
        except TrustFileInvalid:  # the source has said so in the operator's log
            return
        if trust is not self._told:
            record_trust(self._app, trust)
            self._told = trust


def record_trust(app: Services, trust: Trust) -> str | None:
    """Tell the log of `trust`, unless it was told last; give the entry's id if one was written."""
    found = describe_trust(trust)
    digest, now = Digest.of(found.raw), app.clock()
    with app.db.read() as tx:
        known = tx.get(TrustStateRow, THE_TRUST)
        if known is not None and known.digest == digest:
            return None
    with app.db.begin() as tx:
        row = _lock(tx)
        if row.digest == digest:  # another replica was first
            return None
        before = _named(row.description)
        event = TrustChanged(
            at=now,
            actor=SYSTEM,
            digest=digest,
            before=Digest(row.digest) if row.digest else None,
            roots=_news(found.roots, before),
            charters=_news(found.charters, before),
            gone=tuple(sorted(before.keys() - _named(found.raw).keys()))[:MAX_GONE],
        )
        objects = [LogObject.of(each) for each in (found.raw, *found.roots.values(), *found.charters.values())]
        row.event_id = audit.append(tx, event, objects=objects, entropy=app.entropy)
        row.digest, row.description = digest, found.raw
        tx.add(row)
        return row.event_id


def _lock(tx: Tx) -> TrustStateRow:
    query = select(TrustStateRow).where(TrustStateRow.id == THE_TRUST).with_for_update()
    found = tx.exec(query).first()
    if found is None:
        insert_once(tx, TrustStateRow(id=THE_TRUST, digest="", description=b"{}", event_id=""))
        found = tx.exec(query).one()
    return found


def _news(documents: Mapping[str, bytes], before: Mapping[str, Digest]) -> tuple[Digest, ...]:
    old = set(before.values())
    new = (Digest.of(raw) for raw in documents.values())
    return tuple(sorted({digest for digest in new if digest not in old}))[:MAX_LISTED]


def _named(description: bytes) -> dict[str, Digest]:
    """Give what a description names, as `root NAME` or `charter AGENT`, by digest."""
    document = parse_object(description, limit=MAX_DESCRIPTION_BYTES, what="a description of trust")
    found: dict[str, Digest] = {}
    for kind, members in (("root", document.get("roots")), ("charter", document.get("charters"))):
        for name, said in members.items() if isinstance(members, dict) else ():
            if isinstance(said, dict):
                found[f"{kind} {name}"] = Digest(str(said["digest"]))
    return found
