"""Finding all that a log says of a release: by reading the whole log, or by asking a registry's search and proving it.

A search can leave out what it likes, and nothing in its answer shows that. What it does show is held against the log,
entry by entry. Whoever must know that nothing is missing has the whole log read (`Trace.complete`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tidegate.auditor.audited import AuditedLog
from tidegate.auditor.source import LogSource
from tidegate.auditor.trace import MAX_ENTRIES, PUT_IN_FORCE, Built, Known, Related, Trace, make_trace, order_of
from tidegate.digest import Digest
from tidegate.errors import (
    DigestInvalid,
    EntryInvalid,
    LogRefused,
    NotFound,
    SigstoreBundleInvalid,
    StatementInvalid,
)
from tidegate.evidence import Attached
from tidegate.formats.entry import Entry, EntryType, parse_entry
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.provenance import Provenance
from tidegate.formats.reference import Reference
from tidegate.remote.api import unintelligible
from tidegate.tlog.reader import TileReader

if TYPE_CHECKING:
    from tidegate.remote.api import Api

MAX_LINKS = 50  # requests for one release whose further entries are asked for
MAX_POLICIES = 2_000  # versions put in force, of all policies
MAX_BUILDS = 20  # statements about the build that are fetched
MAX_ADMITTED = 5_000  # releases of one agent that are looked through for a version

Advance = Callable[[int], object]
"""Told how many more entries were read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is traced: a digest, or a version of an agent whose digest the log says."""

    digest: Digest | None
    reference: Reference | None = None

    @classmethod
    def of(cls, reference: Reference) -> Subject:
        """Take a reference with version or digest."""
        return cls(reference.digest, reference)


def scan_log(audited: AuditedLog, subject: Subject, *, advance: Advance = lambda _: None) -> Trace:
    """Read the whole log, each entry proven. Raises NotFound (code "release-unknown"), TileInvalid."""
    reader = audited.reader()
    digest = subject.digest or _admitted_in(_parsed(reader, lambda: (_version_text(subject),)), subject)
    related = Related(digest)
    for entry in _parsed(reader, lambda: related.needles, advance):
        related.take(Known(entry, proven=True))
    checkpoint = audited.head.checkpoint
    return make_trace(
        digest,
        related.known,
        tuple(builds(related.found, audited.source, digest)),
        origin=checkpoint.origin,
        size=checkpoint.size,
        complete=not related.is_cut,
        cut=related.is_cut,
    )


def search_log(api: Api, subject: Subject, source: LogSource, audited: AuditedLog | None) -> Trace:
    """Ask a registry, and prove each entry in `audited`; with None all is its word. `source`: of what entries name.

    Raises NotFound (code "release-unknown"), LogRefused (code "search-differs" where the log holds another entry than
    the registry tells), and what asking raises.
    """
    search = _Search(api, audited.reader() if audited else None)
    digest = subject.digest or _admitted_by(search, subject)
    about = search.find({"digest": digest})
    first = Related(digest)
    for known in about:
        first.take(known)
    for request in islice(sorted(first.links), MAX_LINKS):
        about += search.find({"decision": request})
    for type_ in PUT_IN_FORCE:
        about += search.find({"type": str(type_)}, most=MAX_POLICIES)
    related = Related(digest)
    for known in sorted({each.entry.id: each for each in about}.values(), key=order_of):
        related.take(known)
    checkpoint = audited.head.checkpoint if audited else None
    return make_trace(
        digest,
        related.known,
        tuple(builds(related.found, source, digest)),
        origin=checkpoint.origin if checkpoint else None,
        size=checkpoint.size if checkpoint else None,
        cut=related.is_cut,
    )


class _Search:
    def __init__(self, api: Api, reader: TileReader | None) -> None:
        self._api, self._reader = api, reader

    def find(self, query: dict[str, str | None], *, most: int = MAX_ENTRIES) -> list[Known]:
        """Give what the registry finds, in the order of the log, each proven if it can be."""
        items = self._api.items("/log/entries", what="search its audit log", query=query, most=most)
        return [self._known(item) for item in items][::-1]  # the newest comes first

    def _known(self, item: JsonObject) -> Known:
        told, index = item.get("entry"), item.get("index")
        if not isinstance(told, dict) or isinstance(index, bool) or not (index is None or isinstance(index, int)):
            raise unintelligible("an entry of the log without its members")
        raw = canonical_bytes(told)
        if index is None or self._reader is None or not 0 <= index < self._reader.size:
            return Known(parse_entry(raw, index=index), proven=False)
        proven = self._reader.entry(index)
        if proven != raw:
            raise LogRefused(
                f"the registry tells another entry {index} than the one that is in its log",
                code="search-differs",
                found=str(told.get("type"))[:64],
                expected=f"the entry whose bytes the log has at {index}",
                hint=f"look at it with `tidegate log show {index}`, and tell the registry's operator",
            )
        return Known(parse_entry(proven, index=index), proven=True)


def _parsed(
    reader: TileReader, needles: Callable[[], Iterable[bytes]], advance: Advance = lambda _: None
) -> Iterator[Entry]:
    """Parse the entries in which one of `needles` stands: reading all of a million takes most of a minute."""
    for index, raw in reader.entries(0, reader.size):
        advance(1)
        if any(needle in raw for needle in needles()):
            try:
                yield parse_entry(raw, index=index)
            except EntryInvalid:
                continue  # it says nothing of anything: `log verify` counts such


def _version_text(subject: Subject) -> bytes:
    version = subject.reference.version if subject.reference else None
    return f'"version":"{version}"'.encode()


def _admitted_in(entries: Iterable[Entry], subject: Subject) -> Digest:
    reference = subject.reference
    for entry in entries:
        if (
            reference is not None
            and entry.type == EntryType.RELEASE_ADMITTED
            and entry.data.get("repository") == reference.name
            and entry.data.get("version") == reference.version
        ):
            try:
                return Digest.parse(str(entry.data.get("digest")))
            except DigestInvalid:
                continue
    raise NotFound(
        f"the log knows of no release {reference}",
        code="release-unknown",
        hint="name the digest, or look with `tidegate log tail --type release.admitted`",
    )


def _admitted_by(search: _Search, subject: Subject) -> Digest:
    name = subject.reference.name if subject.reference else None
    admitted = search.find({"agent": name, "type": str(EntryType.RELEASE_ADMITTED)}, most=MAX_ADMITTED)
    return _admitted_in((known.entry for known in sorted(admitted, key=order_of)), subject)  # what is proven first


def builds(known: Iterable[Known], source: LogSource, digest: Digest) -> Iterator[Built]:
    """Read what provenance of `digest` says of the build. The bytes are those that the entry names."""
    stated = (each for each in known if each.entry.data.get("predicate_type") == PREDICATE_SLSA_PROVENANCE)
    seen = set[Built]()
    for each in islice(stated, MAX_BUILDS):
        try:
            raw = source.object(Digest.parse(str(each.entry.data.get("bundle"))))
            statement = Attached.parse(raw).statement
            found = Built.of(Provenance.parse(statement.predicate), each)
        except (NotFound, DigestInvalid, SigstoreBundleInvalid, StatementInvalid):
            continue  # without the statement there is nothing to say, and the entry is shown as it is
        if found not in seen and statement.subject.digest == digest:
            seen.add(found)
            yield found
