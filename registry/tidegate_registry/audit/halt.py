"""What each process must know of the log: whether it goes on, and whether anything may be written meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.errors import Unreachable
from tidegate_registry.audit import sequence
from tidegate_registry.audit.problems import HALTS, LogAhead, LogForked, LogHalted
from tidegate_registry.audit.publish import fetch_checkpoint
from tidegate_registry.logs import get_logger

if TYPE_CHECKING:
    from tidegate_registry.metrics import Metrics
    from tidegate_registry.services import Services

log = get_logger()

WATCH_SECONDS = 1  # how late another replica's finding is heeded


def hold_while_ahead(app: Services) -> None:
    """Let this process write nothing if more is published than the database knows; else, let it write again.

    Raises StoreUnavailable, DatabaseUnavailable.
    """
    try:
        checkpoint = fetch_checkpoint(app, None)
    except LogForked:  # nobody can say how much is published; the leader finds it, and tells
        checkpoint = None
    with app.db.read() as tx:
        assigned = sequence.load_state(tx).assigned
    if checkpoint is None or checkpoint.size <= assigned:
        app.db.held = None
        return
    app.db.held = LogAhead.noted
    log.error("log.ahead", published=checkpoint.size, assigned=assigned)


def demand_not_halted(app: Services) -> None:
    """Raise LogAhead, LogBehind or LogForked if the leader has found it so."""
    with app.db.read() as tx:
        halted = sequence.load_state(tx).halted
    if halted is not None:
        raise HALTS.get(halted, LogHalted).noted()


class LogWatch:
    """Heeds what the leader notes, and counts it, where somebody reads the counts. For one thread."""

    def __init__(self, app: Services, metrics: Metrics | None) -> None:
        self._app = app
        self._metrics = metrics
        self._failing = False

    def look(self) -> None:
        """Look once. Nothing is raised for a service that does not answer: the next look is soon."""
        try:
            with self._app.db.read() as tx:
                state = sequence.load_state(tx)
                waits = sequence.oldest_unpublished(tx, state) if self._metrics is not None else None
            if state.halted == LogAhead.code:
                self._app.db.held = LogAhead.noted
            elif self._app.db.held is not None:  # we found it ourselves, as we started
                hold_while_ahead(self._app)
        except Unreachable as error:
            if not self._failing:
                log.warning("log.not_watched", error=error.message)
            self._failing = True
            return
        self._failing = False
        if self._metrics is not None:
            self._metrics.log_assigned.set(state.assigned)
            self._metrics.log_published.set(state.published)
            lag = (self._app.clock() - waits).total_seconds() if waits is not None else 0
            self._metrics.log_lag.set(max(0, lag))
            self._metrics.log_halted.set(state.halted is not None)
