"""The integrator: entries that were committed become leaves of the log, in files that anybody can check.

One turn: give indices, in a durable transaction (sequence.py); read the entries; build the files (tidegate.tlog.edge);
store them create-only, and the objects that entries name; sign the checkpoint, have witnesses cosign it (witnesses.py)
and publish it (publish.py); note that it is public. Whoever dies between any two lines leaves what the next leader
makes again, byte for byte.

What is in memory is the right edge of the tree and the entries of one turn, however long the log is. After any failure
it is forgotten: the next turn compares database and bucket anew (standing.py), as one that takes over does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import Unreachable
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate_registry.audit import sequence
from tidegate_registry.audit.compare import demand_same_log
from tidegate_registry.audit.leader import LeadershipLost, Lease
from tidegate_registry.audit.objects import store_objects
from tidegate_registry.audit.problems import LogHalted
from tidegate_registry.audit.publish import publish, upload
from tidegate_registry.logs import get_logger
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from tidegate.tlog.edge import Edge
    from tidegate.tlog.note import NoteSigner
    from tidegate_registry.audit.witnesses import Witnesses
    from tidegate_registry.services import Services

log = get_logger()

TURN_BATCHES = 8  # of settings.log.batch: what one checkpoint covers when the log has to catch up


@dataclass(slots=True)
class _Tree:
    """What a leader has in memory. `last`: the checkpoint that is public."""

    lease: Lease
    edge: Edge
    last: Checkpoint
    signed_at: float | None


class Integrator:
    """The step of the worker that writes the log. `ticks`: seconds that only grow, for when to sign anew.

    For one thread.
    """

    def __init__(
        self,
        app: Services,
        signer: NoteSigner,
        *,
        witnesses: Witnesses | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._signer = signer
        self._cosign = None if witnesses is None else witnesses.cosign
        self._ticks = ticks
        self._tree: _Tree | None = None

    def turn(self, lease: Lease) -> Did:
        """Put what was committed into the log, up to TURN_BATCHES batches.

        Raises LeadershipLost; LogAhead, LogBehind, LogForked, which every replica then knows of; DatabaseUnavailable,
        StoreUnavailable.
        """
        tree, self._tree = self._tree, None  # kept only if all goes well
        try:
            if tree is None or tree.lease != lease:
                tree = self._take_over(lease)
            did = self._advance(tree)
        except LogHalted as error:
            (reason,) = error.reasons
            log.error("log.halted", code=error.code, error=str(error), found=reason.found, expected=reason.expected)  # noqa: TRY400
            with suppress(LeadershipLost, Unreachable):
                sequence.note_halted(self._app.db, lease, error.code)
            raise
        self._tree = tree
        return did

    def _advance(self, tree: _Tree) -> Did:
        limit = self._app.settings.log.batch * TURN_BATCHES
        assigned = sequence.assign(self._app.db, tree.lease, limit=limit, at_least=tree.edge.size)
        span = range(tree.edge.size, min(assigned, tree.edge.size + limit))
        if span:
            entries = sequence.load_entries(self._app.db, span)
            upload(self._app, tree.edge.grow(entries))
            store_objects(self._app, below=tree.edge.size)
        elif tree.signed_at is not None and self._ticks() - tree.signed_at < self._app.settings.log.resign_seconds:
            return Did.NOTHING
        self._publish(tree)
        return Did.MORE if tree.edge.size < assigned or len(span) == limit else Did.SOMETHING

    def _publish(self, tree: _Tree) -> None:
        checkpoint = Checkpoint(self._signer.key.name, tree.edge.size, tree.edge.root)
        publish(self._app, checkpoint, self._signer, last=tree.last, cosign=self._cosign)
        sequence.note_published(self._app.db, tree.lease, checkpoint.size, checkpoint.root)
        tree.last, tree.signed_at = checkpoint, self._ticks()

    def _take_over(self, lease: Lease) -> _Tree:
        """Compare database and bucket; give the tree from which the log goes on. Raises LogAhead and its like."""
        facts = demand_same_log(self._app, self._signer.key)
        log.info("log.leads", epoch=lease.epoch, size=facts.edge.size)
        last = facts.checkpoint
        if last is None:
            last = Checkpoint(self._signer.key.name, 0, EMPTY_ROOT)
        else:
            sequence.note_found(self._app.db, lease, last.size, last.root)
        return _Tree(lease, facts.edge, last, None)
