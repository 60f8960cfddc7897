"""Upload sessions as rows: whose they are, how far they have come, which request holds them. Never an audit entry.

A session belongs to the caller who began it; to others it does not exist. A request that works on one holds it
(`busy_until`), so that two never interleave, on whichever replica they run. One that a power cut takes back a step is
continued from there, or begun again: so nobody waits for the disk here.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam
from sqlmodel import col, delete, func, select, update

from tidegate.digest import Digest
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.errors import TooManyUploads, TooMuchStaged, UploadBusy, UploadUnknown
from tidegate_registry.artifacts.tables import UploadPartRow, UploadRow
from tidegate_registry.columns import Moment
from tidegate_registry.storage.blobs import StagingKey
from tidegate_registry.storage.uploads import drop_staged

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlmodel.sql.expression import Select

    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

BUSY_SLACK = timedelta(seconds=60)  # beyond the longest request: the hold of a process that died ends by itself


def most_bytes(app: Services, who: Principal, repository: str) -> int:
    """Give the size of the largest blob that `who` may send: an attester sends Sigstore bundles, nothing larger."""
    limits = app.settings.limits
    if app.access.may(who, Permission.ARTIFACT_PUSH, repository):
        return limits.blob_bytes
    return min(limits.blob_bytes, limits.evidence_bytes)


def open_session(
    app: Services,
    who: Principal,
    repository: str,
    *,
    digest: Digest | None = None,
    reserved: int = 0,
    part_bytes: int = 0,
) -> UploadRow:
    """Begin a session. Raises TooManyUploads, TooMuchStaged."""
    row = UploadRow(
        id=str(uuid.UUID(bytes=app.entropy(16), version=4)),
        repository=repository,
        owner=who.key,
        continued_at=app.clock(),
        digest=digest,
        reserved=reserved,
        part_bytes=part_bytes,
    )
    limits = app.settings.limits
    with app.db.scratch(durable=False) as tx:
        count, staged = _unfinished(app, tx, who)
        if count >= limits.uploads_in_flight:
            raise TooManyUploads(
                "this caller has too many unfinished uploads",
                found=count,
                expected=f"at most {limits.uploads_in_flight}",
                hint="finish them, or cancel them with DELETE",
            )
        if staged + reserved > limits.staged_bytes:
            raise too_much_staged(staged + reserved, limits.staged_bytes)
        tx.add(row)
    return row


def room_for(app: Services, who: Principal, session: str) -> int:
    """Say how many bytes `session` may have in all, beside the caller's others. Raises TooMuchStaged if none."""
    with app.db.read() as tx:
        return _room(tx, app, who, session)


def _room(tx: Tx, app: Services, who: Principal, session: str) -> int:
    limit = app.settings.limits.staged_bytes
    _, staged = _unfinished(app, tx, who, besides=session)
    if staged >= limit:
        raise too_much_staged(staged, limit)
    return limit - staged


def find_session(app: Services, who: Principal, repository: str, session: str, *, direct: bool) -> UploadRow:
    """Find a session of `who`. `direct`: one that `planUploads` began. Raises UploadUnknown."""
    with app.db.read() as tx:
        row = tx.exec(select(UploadRow).where(*_own(who, repository, session, direct=direct))).first()
    if row is None:
        raise unknown_session(session)
    return row


def find_announced(app: Services, who: Principal, repository: str, digest: Digest, part_bytes: int) -> UploadRow | None:
    """Find the session in which `who` announced to send `digest`, so that a broken transfer goes on."""
    query = select(UploadRow).where(
        UploadRow.owner == who.key,
        UploadRow.repository == repository,
        UploadRow.digest == digest,
        UploadRow.part_bytes == part_bytes,
        col(UploadRow.continued_at) > _alive_since(app),
    )
    with app.db.read() as tx:
        return tx.exec(query.order_by(col(UploadRow.continued_at))).first()


def hold_session(
    app: Services, who: Principal, repository: str, session: str, *, direct: bool, seconds: int
) -> UploadRow:
    """Find the session as `find_session` does, and take it for one request of at most `seconds`.

    Whoever holds it ends with `release_session` or `forget_session`. Raises UploadUnknown, UploadBusy.
    """
    with app.db.scratch(durable=False) as tx:
        return _hold(tx, app, _own(who, repository, session, direct=direct), session, seconds)


def hold_with_room(
    app: Services, who: Principal, repository: str, session: str, *, seconds: int
) -> tuple[UploadRow, int]:
    """Hold a session of an OCI client, and say how many bytes it may have, as `room_for` does.

    Raises UploadUnknown, UploadBusy; TooMuchStaged, and then it is not held.
    """
    with app.db.scratch(durable=False) as tx:
        row = _hold(tx, app, _own(who, repository, session, direct=False), session, seconds)
        return row, _room(tx, app, who, session)


def _hold(tx: Tx, app: Services, own: tuple[ColumnElement[bool], ...], session: str, seconds: int) -> UploadRow:
    now = app.clock()
    free = (col(UploadRow.busy_until).is_(None)) | (col(UploadRow.busy_until) < now)
    held = tx.exec(
        update(UploadRow)
        .where(*own, free)
        .values(busy_until=now + timedelta(seconds=seconds) + BUSY_SLACK, continued_at=now)
    )
    row = tx.exec(select(UploadRow).where(*own)).first()
    if row is None:
        raise unknown_session(session)
    if held.rowcount != 1:
        raise UploadBusy("another request is writing to this upload", hint="wait for it, or begin another upload")
    return row


def release_session(app: Services, session: str, **changes: object) -> bool:
    """Let go of the session, and write down what changed; say whether there still is one."""
    with app.db.scratch(durable=False) as tx:
        done = tx.exec(
            update(UploadRow)
            .where(col(UploadRow.id) == session)
            .values(busy_until=None, continued_at=app.clock(), **changes)
        )
    return done.rowcount == 1


def touch_session(app: Services, session: str, **changes: object) -> None:
    """Write down what changed without letting go, and that somebody still works on it."""
    with app.db.scratch(durable=False) as tx:
        tx.exec(update(UploadRow).where(col(UploadRow.id) == session).values(continued_at=app.clock(), **changes))


def announce_parts(app: Services, session: str, sums: Mapping[int, Digest]) -> None:
    """Remember what a client says that parts hash to; and that somebody still works on the session."""
    with app.db.scratch(durable=False) as tx:
        tx.exec(
            delete(UploadPartRow).where(
                col(UploadPartRow.upload) == session, col(UploadPartRow.number).in_(sums.keys())
            )
        )
        tx.add_all(UploadPartRow(upload=session, number=number, sha256=sha256) for number, sha256 in sums.items())
        tx.exec(update(UploadRow).where(col(UploadRow.id) == session).values(continued_at=app.clock()))


def announced_parts(app: Services, session: str) -> dict[int, Digest]:
    """Give what `announce_parts` was told, the last of it for each part."""
    with app.db.read() as tx:
        rows = tx.exec(select(UploadPartRow).where(UploadPartRow.upload == session))
        return {row.number: Digest(row.sha256) for row in rows}


def forget_session(app: Services, session: str) -> None:
    """Remove the row, if it is there."""
    with app.db.scratch(durable=False) as tx:
        end_session(tx, session)


def end_session(tx: Tx, session: str) -> None:
    """Do what `forget_session` does within `tx`."""
    tx.exec(delete(UploadPartRow).where(col(UploadPartRow.upload) == session))
    tx.exec(delete(UploadRow).where(col(UploadRow.id) == session))


def drop_session(app: Services, row: UploadRow) -> None:
    """Remove what the store keeps for the session, then the row: what fails in between is found by the sweep."""
    if row.multipart is not None:
        app.staging.abort(StagingKey(row.id), row.multipart)
    drop_staged(app.blobs, row.id)
    forget_session(app, row.id)


def stale_sessions(app: Services, limit: int) -> Sequence[UploadRow]:
    """Give sessions that nobody continued in time and no request holds."""
    with app.db.read() as tx:
        return tx.exec(select(UploadRow).where(*_stale(app)).limit(limit)).all()


def hold_stale(app: Services, session: str) -> bool:
    """Take a stale session from its owner, so that it can be dropped; say whether it still was one."""
    with app.db.scratch(durable=False) as tx:
        stale = update(UploadRow).where(col(UploadRow.id) == session, *_stale(app))
        return tx.exec(stale.values(busy_until=app.clock() + BUSY_SLACK)).rowcount == 1


def unknown_session(session: str) -> UploadUnknown:
    """Make the error for a session that the caller does not have."""
    return UploadUnknown(
        "there is no such upload of this caller",
        found=session[:100],
        hint="it ended, expired or was begun by someone else; begin another",
    )


def _own(who: Principal, repository: str, session: str, *, direct: bool) -> tuple[ColumnElement[bool], ...]:
    """Say what makes a session the caller's: to others, and to the other way of uploading, it does not exist."""
    return (
        col(UploadRow.id) == session,
        col(UploadRow.repository) == repository,
        col(UploadRow.owner) == who.key,
        col(UploadRow.digest).is_not(None) if direct else col(UploadRow.digest).is_(None),
    )


def _stale(app: Services) -> tuple[ColumnElement[bool], ...]:
    return (
        col(UploadRow.continued_at) < _alive_since(app),
        (col(UploadRow.busy_until).is_(None)) | (col(UploadRow.busy_until) < app.clock()),
    )


def _alive_since(app: Services) -> object:
    return app.clock() - timedelta(seconds=app.settings.limits.upload_session_seconds)


@lru_cache(maxsize=1)
def _unfinished_statement() -> Select[int, int]:
    """Make the question of `_unfinished` once: each request of an upload asks it."""
    return select(func.count(), func.coalesce(func.sum(UploadRow.reserved), 0)).where(
        UploadRow.owner == bindparam("owner"),
        col(UploadRow.continued_at) > bindparam("since", type_=Moment),
        UploadRow.id != bindparam("besides"),
    )


def _unfinished(app: Services, tx: Tx, who: Principal, besides: str = "") -> tuple[int, int]:
    """Count the caller's unfinished uploads, and their bytes."""
    asked = {"owner": who.key, "since": _alive_since(app), "besides": besides}
    count, staged = tx.exec(_unfinished_statement(), params=asked).one()
    return count, int(staged)


def too_much_staged(found: int, limit: int) -> TooMuchStaged:
    """Make the error for a caller whose uploads have `found` bytes, and no more than `limit` allowed."""
    return TooMuchStaged(
        "this caller's unfinished uploads have too many bytes together",
        found=f"{found} bytes",
        expected=f"at most {limit} bytes",
        hint="finish or cancel some, plan fewer blobs at once, or have the operator raise limits.staged_bytes",
    )
