"""Objects and blob rows, side by side: a merge of the store's listing with the rows, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from tidegate.digest import Digest
from tidegate_registry.artifacts.tables import BlobRow
from tidegate_registry.keeping.fsck.findings import Finding, Problem
from tidegate_registry.keeping.tables import BlobClaimRow
from tidegate_registry.storage.blobs import BlobKey, BlobMissing, StoredObject

if TYPE_CHECKING:
    from tidegate_registry.services import Services

BLOBS = "blobs/"
ROWS = 1000  # read at once
WORKERS = 8  # requests to the store at once; a re-hash holds one chunk for each
BATCH = WORKERS * 16
_PATH = re.compile(r"blobs/([^/]+)/(sha256|sha512)/([0-9a-f]{2})/(\3[0-9a-f]{62}(?:[0-9a-f]{64})?)")


def total_bytes(app: Services) -> int:
    """Give the bytes of all blobs that there are rows for."""
    with app.db.read() as tx:
        return int(tx.exec(select(func.coalesce(func.sum(BlobRow.size), 0))).one())


def check_objects(app: Services, *, rehash: bool, advance: Callable[[int], None]) -> Iterator[Finding]:
    """Compare every blob row with its object. `rehash`: read and hash each; else the store's word on it is asked.

    `advance` is told the bytes that are done. What changes meanwhile is looked at again before it is reported.
    """
    check = _Check(app, rehash=rehash)
    pairs = _pairs(app)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="fsck") as pool:
        while batch := list(islice(pairs, BATCH)):
            for (_, row, _), found in zip(batch, pool.map(check.of, batch), strict=True):
                advance(row.size if row is not None else 0)
                if found is not None:
                    yield found


def parse_path(path: str) -> BlobKey | None:
    """Read a blob's path; None for one of another form."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    try:
        return BlobKey(match[1], Digest(f"{match[2]}:{match[4]}"))
    except ValueError:
        return None


_Pair = tuple[str, BlobRow | None, StoredObject | None]  # namespace, row, object; one of the two may be missing


def _pairs(app: Services) -> Iterator[_Pair]:
    seen: set[str] = set()
    for namespace, objects in groupby(app.blobs.list(BLOBS), key=lambda found: found.path.split("/")[1]):
        seen.add(namespace)
        yield from _merge(namespace, _rows(app, namespace), objects)
    with app.db.read() as tx:
        others = set(tx.exec(select(BlobRow.namespace).distinct()).all()) - seen
    for namespace in sorted(others):
        yield from ((namespace, row, None) for row in _rows(app, namespace))


def _merge(namespace: str, rows: Iterator[BlobRow], objects: Iterator[StoredObject]) -> Iterator[_Pair]:
    """Pair what has the same path. Both come in order; were they not, what finds no partner is looked at again."""
    row, found = next(rows, None), next(objects, None)
    while row is not None or found is not None:
        left = BlobKey(namespace, Digest(row.digest)).path if row is not None else None
        right = found.path if found is not None else None
        if left is not None and (right is None or left < right):
            yield namespace, row, None
            row = next(rows, None)
        elif left is not None and left == right:
            yield namespace, row, found
            row, found = next(rows, None), next(objects, None)
        else:
            yield namespace, None, found
            found = next(objects, None)


def _rows(app: Services, namespace: str) -> Iterator[BlobRow]:
    after = ""
    while True:
        query = select(BlobRow).where(BlobRow.namespace == namespace, BlobRow.digest > after)
        with app.db.read() as tx:
            rows = tx.exec(query.order_by(col(BlobRow.digest)).limit(ROWS)).all()
        yield from rows
        if len(rows) < ROWS:
            return
        after = rows[-1].digest


class _Check:
    """Judges one pair; runs in several threads."""

    def __init__(self, app: Services, *, rehash: bool) -> None:
        self._app, self._rehash = app, rehash

    def of(self, pair: _Pair) -> Finding | None:
        namespace, row, found = pair
        if row is None:
            return None if found is None else self._of_object(namespace, found)
        key = BlobKey(namespace, Digest(row.digest))
        stored = self._app.blobs.stat(key)
        if stored is None:
            return self._missing(key)
        if stored.size != row.size:
            sizes = f"{stored.size} bytes", f"{row.size} bytes"
            return Finding(Problem.OBJECT_SIZE, namespace, row.digest, *sizes)
        if stored.sha256 is not None and key.digest.algorithm == "sha256" and stored.sha256 != key.digest:
            return Finding(Problem.OBJECT_CHECKSUM, namespace, row.digest, stored.sha256, key.digest)
        return self._read(key) if self._rehash else None

    def _read(self, key: BlobKey) -> Finding | None:
        try:
            _, _, named = self._app.blobs.measure(key, key.digest.algorithm)
        except BlobMissing:
            return self._missing(key)
        if named == key.digest:
            return None
        return Finding(Problem.OBJECT_BYTES, key.namespace, key.digest, named, key.digest)

    def _missing(self, key: BlobKey) -> Finding | None:
        with self._app.db.read() as tx:
            claim = tx.get(BlobClaimRow, (key.namespace, key.digest))
        if self._row(key.namespace, key.digest) is None:
            return None  # collected meanwhile
        if claim is not None and claim.deleting_at is not None:
            since = f"since {claim.deleting_at}"
            return Finding(Problem.BEING_REMOVED, key.namespace, key.digest, since, "the end of its collection")
        return Finding(Problem.OBJECT_MISSING, key.namespace, key.digest, "no object", key.path)

    def _of_object(self, namespace: str, found: StoredObject) -> Finding | None:
        key = parse_path(found.path)
        if key is None:
            return Finding(Problem.OBJECT_ELSEWHERE, namespace, "", found.path, "blobs/<namespace>/<algorithm>/…")
        if self._row(namespace, key.digest) is not None:
            return None  # linked meanwhile
        return Finding(Problem.OBJECT_WITHOUT_ROW, namespace, key.digest, f"{found.size} bytes since {found.modified}")

    def _row(self, namespace: str, digest: str) -> BlobRow | None:
        with self._app.db.read() as tx:
            return tx.get(BlobRow, (namespace, digest))
