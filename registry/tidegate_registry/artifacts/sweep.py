"""Takes away what uploads left behind that nobody will end: sessions, staged objects, parts in the store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate_registry.artifacts import sessions
from tidegate_registry.artifacts.tables import UploadRow
from tidegate_registry.storage.blobs import STAGING, StagingKey, session_of

if TYPE_CHECKING:
    from tidegate_registry.services import Services

SWEEP_BATCH = 500  # of each kind, so that one turn stays short


def sweep_uploads(app: Services) -> int:
    """Drop the sessions that nobody continued in time, and what the store keeps for none; say how many sessions."""
    dropped = 0
    for row in sessions.stale_sessions(app, SWEEP_BATCH):
        if sessions.hold_stale(app, row.id):
            sessions.drop_session(app, row)
            dropped += 1
    _sweep_objects(app)
    _sweep_multiparts(app)
    return dropped


def _sweep_objects(app: Services) -> None:
    """Remove staged objects whose session is gone: a crash, or a link that was used after its session had ended."""
    before = app.clock() - timedelta(seconds=app.settings.limits.upload_session_seconds)
    old = islice((found.path for found in app.blobs.list(STAGING) if found.modified < before), SWEEP_BATCH)
    paths = [(path, session_of(path)) for path in old]
    alive = _multiparts(app, (session for _, session in paths if session))
    for path, session in paths:
        if session is not None and session not in alive:
            app.blobs.delete(StagingKey(session, path.rpartition("/")[2]))


def _sweep_multiparts(app: Services) -> None:
    before = app.clock() - timedelta(seconds=app.settings.limits.upload_session_seconds)
    dead = list(islice((found for found in app.staging.unfinished() if found.begun_at < before), SWEEP_BATCH))
    alive = _multiparts(app, (session for found in dead if (session := session_of(found.path))))
    for found in dead:
        if alive.get(session_of(found.path) or "") != found.upload:
            app.staging.abort_dead(found)


def _multiparts(app: Services, ids: Iterable[str]) -> dict[str, str | None]:
    """Give the sessions of `ids` that exist, with the multipart upload of each."""
    with app.db.read() as tx:
        rows = tx.exec(select(UploadRow.id, UploadRow.multipart).where(col(UploadRow.id).in_(set(ids))))
        return dict(rows.all())
