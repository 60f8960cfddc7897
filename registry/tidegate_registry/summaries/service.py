"""The step of the worker that signs a summary of each decision that allowed something, and attaches it.

It follows the log: an entry is looked at once a checkpoint covers it, so its record lies beside the log by then. What
is written is written in one transaction: the referrer, the row of the decision, the entry. Whoever dies before it
leaves a blob that nobody names; whoever comes second finds the row. So there is one summary for each decision, though
the signatures of some keys differ each time.
"""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from typing import TYPE_CHECKING, cast

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate.errors import TidegateError, Unreachable
from tidegate.formats.entry import parse_entry
from tidegate.formats.manifest import EMPTY_BLOB, Manifest, evidence_manifest
from tidegate.formats.mediatypes import INTOTO_PAYLOAD, PREDICATE_VSA
from tidegate.formats.statement import pre_authentication
from tidegate.formats.summary import summary_bundle
from tidegate.policy.record import MAX_RECORD_BYTES
from tidegate.tlog.reader import TileReader
from tidegate_registry import __version__
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.errors import ManifestUnknown, TooManyReferrers
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.store import count_referrers, write_manifest
from tidegate_registry.artifacts.tables import BlobRow, ManifestRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.audit.publish import fetch_checkpoint, fetch_file
from tidegate_registry.audit.sequence import load_state
from tidegate_registry.audit.service import LogObject
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.db import insert_new
from tidegate_registry.keeping import claims
from tidegate_registry.logs import get_logger
from tidegate_registry.storage.blobs import BlobKey, LogKey
from tidegate_registry.summaries.content import SUMMED_UP, Allowed, check_record, make_summary, read_allowed
from tidegate_registry.summaries.events import SummaryAttached, SummaryNotMade
from tidegate_registry.summaries.tables import SummaryCursorRow, SummaryRow
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select

    from tidegate.formats.predicates.vsa import VsaPredicate
    from tidegate.tlog.note import VerifierKey
    from tidegate_registry.audit.keys import SigningKey
    from tidegate_registry.audit.leader import Lease
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

log = get_logger()

NAME = "summaries"
TURN_SECONDS = 1.0
WINDOW = 5_000  # entries of the log that one turn looks through
DECISIONS = 50  # that one turn sums up at most: each is a signature and two objects


class Summarizer:
    """The step. `key`: signs; whoever believes it has it in a trust file. `log_key`: of the log that is summed up.

    Decisions are read from the log as it was signed, not from the database: a row that was edited since says nothing.
    """

    def __init__(self, app: Services, key: SigningKey, log_key: VerifierKey) -> None:
        self._app = app
        self._key = key
        self._log_key = log_key

    def turn(self, _lease: Lease) -> Did:
        """Sum up decisions that are in the log since the last turn. Any number of processes may do so at once.

        Raises Unreachable when store, database or key service is, TileInvalid and LogForked when the log's files are
        not as they were signed: the next turn goes on there.
        """
        start, published = _progress(self._app)
        if start >= published:
            return Did.NOTHING
        checkpoint = fetch_checkpoint(self._app, self._log_key)
        stop = min(published, start + WINDOW, 0 if checkpoint is None else checkpoint.size)
        if checkpoint is None or start >= stop:
            return Did.NOTHING
        found = _decisions(self._app, range(start, stop))
        reader = TileReader(partial(fetch_file, self._app), checkpoint)
        for index in found:
            allowed = _allowed(reader.entry(index), index)
            if allowed is not None:
                self._sum_up(allowed)
        if len(found) == DECISIONS:
            stop = max(found) + 1
        _note_progress(self._app, stop)
        return Did.MORE if stop < published else Did.SOMETHING

    def _sum_up(self, allowed: Allowed) -> None:
        with self._app.db.read() as tx:
            if tx.get(SummaryRow, allowed.entry.id) is not None:
                return
        try:
            self._attach(allowed)
        except Unreachable:
            raise
        except TidegateError as error:
            # one decision that cannot be summed up must not keep later ones from it
            code = error.reasons[0].code
            log.error("vsa.not_made", entry=allowed.entry.id, problem=code, error=str(error))  # noqa: TRY400
            _note_not_made(self._app, allowed, code)

    def _attach(self, allowed: Allowed) -> None:
        app = self._app
        record = _read_record(app, allowed)
        registry = app.settings.public_url
        predicate, statement = make_summary(allowed, record, registry=registry, version=__version__)
        bundle = self._sign(statement)
        with app.db.read() as tx:
            row = tx.get(ManifestRow, (allowed.repository, allowed.digest))
        if row is None:
            raise ManifestUnknown("there is no such manifest", found=f"{allowed.repository}@{allowed.digest}")
        subject = Manifest.parse(row.raw, algorithm=allowed.digest.algorithm)
        referrer = evidence_manifest(bundle, subject.descriptor, PREDICATE_VSA)
        claims.claim(app, allowed.repository, {blob.digest for blob in referrer.blobs})
        for raw in (EMPTY_BLOB, bundle):
            digest = Digest.of(raw)
            app.blobs.put(BlobKey(namespace_of(allowed.repository), digest), raw, size=len(raw), sha256=digest)
        _record(app, allowed, referrer, predicate, Digest.of(statement))

    def _sign(self, statement: bytes) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self._key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        hint = base64.b64encode(hashlib.sha256(der).digest()).decode()
        return summary_bundle(statement, self._key.sign(pre_authentication(INTOTO_PAYLOAD, statement)), hint=hint)


def root_query() -> Select[str, str]:
    """Give the retention root of this room: every summary that was attached."""
    attached = select(col(SummaryRow.repository), col(SummaryRow.manifest)).where(col(SummaryRow.manifest).is_not(None))
    return cast("Select[str, str]", attached)


def _progress(app: Services) -> tuple[int, int]:
    """Give the index of the first entry to look at, and how many a checkpoint covers."""
    with app.db.read() as tx:
        row = tx.get(SummaryCursorRow, NAME)
        return 0 if row is None else row.next, load_state(tx).published


def _note_progress(app: Services, reached: int) -> None:
    with app.db.bookkeeping() as tx:
        row = tx.get(SummaryCursorRow, NAME) or SummaryCursorRow(name=NAME, next=0)
        row.next = max(row.next, reached)
        tx.add(row)


def _allowed(raw: bytes, index: int) -> Allowed | None:
    """Read what an entry of the log allowed; nothing where it is no decision that can be read."""
    try:
        entry = parse_entry(raw, index=index)
        return read_allowed(entry) if entry.type in SUMMED_UP else None
    except TidegateError as error:  # it stays so: to try again would keep all later ones from it
        log.error("vsa.unreadable", index=index, problem=error.reasons[0].code, error=str(error))  # noqa: TRY400
        return None


def _decisions(app: Services, span: range) -> list[int]:
    """Give the indices of decisions, DECISIONS at most, the first ones."""
    query = (
        select(AuditEventRow.idx)
        .where(
            col(AuditEventRow.idx) >= span.start,
            col(AuditEventRow.idx) < span.stop,
            col(AuditEventRow.type).in_(SUMMED_UP),
        )
        .order_by(col(AuditEventRow.idx))
        .limit(DECISIONS)
    )
    with app.db.read() as tx:
        return [index for index in tx.exec(query) if index is not None]


def _read_record(app: Services, allowed: Allowed) -> bytes:
    """Read the record from beside the log. Raises BlobMissing, StatementInvalid."""
    with app.blobs.open(LogKey.of_object(allowed.record)) as stored:
        raw = stored.read(MAX_RECORD_BYTES + 1)
    check_record(allowed, raw)
    return raw


def _record(app: Services, allowed: Allowed, referrer: Manifest, predicate: VsaPredicate, payload: Digest) -> None:
    """Write referrer, row and entry, unless somebody did. Raises TooManyReferrers, BlobBeingRemoved, ClaimLapsed."""
    repository, now = allowed.repository, app.clock()
    digests = {blob.digest for blob in referrer.blobs}
    with app.db.begin() as tx:
        naming.lock_agent(tx, repository, now)
        if tx.get(SummaryRow, allowed.entry.id) is not None:
            return
        if count_referrers(tx, repository, allowed.digest) >= app.settings.limits.referrers_per_subject:
            raise TooManyReferrers(
                "that subject has as many referrers as it may have",
                found=allowed.digest,
                expected=f"at most {app.settings.limits.referrers_per_subject}",
            )
        claims.confirm(tx, repository, digests, now=now)
        _write_blobs(tx, app, repository, referrer)
        write_manifest(tx, repository, referrer, now=now, released=True)
        event = SummaryAttached(
            at=now,
            actor=SYSTEM,
            repository=repository,
            digest=allowed.digest,
            version=allowed.version,
            channel=allowed.channel,
            decision=allowed.entry.id,
            manifest=referrer.digest,
            bundle=referrer.layers[0].digest,
            payload=payload,
            levels=predicate.levels,
        )
        beside = LogObject(referrer.digest, body=referrer.raw)  # a restore attaches it again
        audit.append(tx, event, objects=[beside], entropy=app.entropy)
        tx.add(_row(allowed, now, manifest=referrer.digest))


def _write_blobs(tx: Tx, app: Services, repository: str, referrer: Manifest) -> None:
    namespace, now = namespace_of(repository), app.clock()
    rows = [BlobRow(namespace=namespace, digest=blob.digest, size=blob.size, created_at=now) for blob in referrer.blobs]
    insert_new(tx, rows, "digest")


def _note_not_made(app: Services, allowed: Allowed, code: str) -> None:
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, allowed.repository, now)
        if tx.get(SummaryRow, allowed.entry.id) is not None:
            return
        event = SummaryNotMade(
            at=now,
            actor=SYSTEM,
            repository=allowed.repository,
            digest=allowed.digest,
            decision=allowed.entry.id,
            problem=code,
        )
        audit.append(tx, event, entropy=app.entropy)
        tx.add(_row(allowed, now, problem=code))


def _row(allowed: Allowed, now: datetime, *, manifest: str | None = None, problem: str | None = None) -> SummaryRow:
    return SummaryRow(
        entry=allowed.entry.id,
        repository=allowed.repository,
        subject=allowed.digest,
        manifest=manifest,
        problem=problem,
        made_at=now,
    )
