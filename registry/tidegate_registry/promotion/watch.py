"""Revocations that other replicas made: what this one keeps in memory of the agents they are about is dropped.

A replica that cannot reach the database goes on with what it has; see docs/adr/0023-revocations-and-kept-answers.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from tidegate.errors import Unreachable
from tidegate_registry.logs import get_logger
from tidegate_registry.promotion.tables import RevocationRow

if TYPE_CHECKING:
    from tidegate_registry.services import Services

log = get_logger()

WATCH_SECONDS: Final = 1  # how late another replica's revocation may be noticed, besides the time the look takes
MARGIN: Final = timedelta(minutes=10)  # for clocks of replicas that differ, and transactions that took their time


class RevocationWatch:
    """Looks for revocations since the last look that succeeded. For one thread."""

    def __init__(self, app: Services) -> None:
        self._app = app
        self._since = app.clock() - MARGIN
        self._seen: frozenset[str] = frozenset()
        self._failing = False

    def look(self) -> None:
        """Drop what is kept of agents with a revocation that was not seen before. Nothing is raised: the next look is
        soon.
        """
        now = self._app.clock()
        query = select(RevocationRow.event_id, RevocationRow.repository)
        try:
            with self._app.db.read() as tx:
                found = dict(tx.exec(query.where(col(RevocationRow.revoked_at) >= self._since)).all())
        except Unreachable as error:
            if not self._failing:
                log.warning("revocations.not_seen", error=error.message)
            self._failing = True
            return
        for event_id, repository in found.items():
            if event_id not in self._seen:
                self._app.reads.drop(repository)
        self._since, self._seen, self._failing = now - MARGIN, frozenset(found), False
