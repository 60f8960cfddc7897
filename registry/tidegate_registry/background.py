"""What the registry does by itself while it runs: drop uploads that nobody continued, write entries of what was only
counted, tell the bucket how far the database has come, end what a collection that died left half-done, look again at
promotions that wait for a time. What fails is tried again a turn later, whatever it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from starlette.concurrency import run_in_threadpool

from tidegate.errors import TidegateError
from tidegate_registry.artifacts.pending import sweep_pending
from tidegate_registry.artifacts.sweep import sweep_uploads
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.keeping.highwater import note_progress
from tidegate_registry.keeping.sweep import Sweep
from tidegate_registry.logs import get_logger
from tidegate_registry.promotion.settling import TURN_SECONDS, take_turn
from tidegate_registry.promotion.watch import WATCH_SECONDS, RevocationWatch

if TYPE_CHECKING:
    from tidegate_registry.services import Services

log = get_logger()

SWEEP_SECONDS = 300  # far below the life of an upload session, so that disk is given back soon after it
STOP_SECONDS = 5  # for a turn that is under way; whatever it does may be cut off
NOTE_SECONDS = 60  # entries that a crash may keep from the bucket's high-water mark
COUNT_SECONDS = 60  # the window in which refusals are counted: its entry comes at most one more window later


class Background:
    """Runs the periodic work for as long as the context lasts. `record_counts`: writes what windows left out."""

    def __init__(self, app: Services, record_counts: Callable[[], None]) -> None:
        self._app = app
        self._record_counts = record_counts
        self._revocations = RevocationWatch(app)
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = (
            asyncio.create_task(repeat(self._sweep, SWEEP_SECONDS, self._stop)),
            asyncio.create_task(repeat(self._tidy_claims, SWEEP_SECONDS, self._stop)),
            asyncio.create_task(repeat(self._record_counts, COUNT_SECONDS, self._stop)),
            asyncio.create_task(repeat(self._note_progress, NOTE_SECONDS, self._stop)),
            asyncio.create_task(repeat(self._look_at_promotions, TURN_SECONDS, self._stop)),
            asyncio.create_task(repeat(self._revocations.look, WATCH_SECONDS, self._stop)),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop.set()
        await asyncio.wait(self._tasks, timeout=STOP_SECONDS)  # cancelling would leave a thread at work behind us
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_progress(self) -> None:
        note_progress(self._app)

    def _look_at_promotions(self) -> None:
        take_turn(self._app)

    def _sweep(self) -> None:
        dropped = sweep_uploads(self._app)
        if dropped:
            log.info("uploads.swept", sessions=dropped)
        expired = sweep_pending(self._app)
        if expired:
            log.info("pending-tags.swept", tags=expired)

    def _tidy_claims(self) -> None:
        Sweep(self._app, SYSTEM).tidy_claims()


async def repeat(work: Callable[[], None], seconds: float, stop: asyncio.Event) -> None:
    """Do `work` in a thread every `seconds` until `stop`; errors are logged, those of ours as faults."""
    while not stop.is_set():
        try:
            await run_in_threadpool(work)
        except TidegateError as error:
            log.warning("background.failed", work=work.__name__, error=str(error))
        except Exception:
            # a fault of ours; without the next turn nothing would be swept or noted until somebody restarts us
            log.exception("background.fault", work=work.__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
