"""What the registry does by itself while it runs; the scheduler is worker.py.

Each server: write entries of what was only counted, drop what others revoked, tell the log whom the trust file trusts,
heed what is wrong with the log. Each worker: drop uploads that nobody continued, end what a collection that died left
half-done, look again at promotions that wait for a time. One worker of all: put what was committed into the log, and
what is there into the index that search uses; sum up what was decided.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tidegate_registry.artifacts.pending import sweep_pending
from tidegate_registry.artifacts.sweep import sweep_uploads
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.audit.halt import WATCH_SECONDS as LOG_WATCH_SECONDS
from tidegate_registry.audit.halt import LogWatch
from tidegate_registry.audit.index import INDEX_SECONDS, LOG_SEARCH, index_turn
from tidegate_registry.audit.integrate import Integrator
from tidegate_registry.audit.keys import open_log_signer, open_vsa_key
from tidegate_registry.audit.sequence import LOG
from tidegate_registry.audit.witnesses import Witnesses
from tidegate_registry.keeping.sweep import Sweep
from tidegate_registry.logs import get_logger
from tidegate_registry.promotion.settling import TURN_SECONDS, take_turn
from tidegate_registry.promotion.watch import WATCH_SECONDS, RevocationWatch
from tidegate_registry.settings import Mode
from tidegate_registry.summaries import service as summaries
from tidegate_registry.summaries.service import Summarizer
from tidegate_registry.trusting.service import TRUST_SECONDS, TrustNotes
from tidegate_registry.worker import LedStep, Step, Worker

if TYPE_CHECKING:
    from tidegate_registry.metrics import Metrics
    from tidegate_registry.services import Services

log = get_logger()

SWEEP_SECONDS = 300  # far below the life of an upload session, so that disk is given back soon after it
COUNT_SECONDS = 60  # the window in which refusals are counted: its entry comes at most one more window later


def steps_of_server(app: Services, metrics: Metrics, record_counts: Callable[[], None]) -> Sequence[Step]:
    """Give what each process that answers requests does. `record_counts`: writes what windows left out."""
    return (
        Step("refusal-counts", COUNT_SECONDS, record_counts),
        _watch_log(app, metrics),
        Step("revocations", WATCH_SECONDS, RevocationWatch(app).look),
        Step("trust", TRUST_SECONDS, TrustNotes(app).look),
    )


def _watch_log(app: Services, metrics: Metrics | None) -> Step:
    return Step("log-watch", LOG_WATCH_SECONDS, LogWatch(app, metrics).look)


def steps_of_lone_worker(app: Services) -> Sequence[Step]:
    """Give what a worker does that answers nobody: it writes, too, so it heeds what keeps everybody from writing."""
    return (_watch_log(app, None), *steps_of_worker(app))


def steps_of_worker(app: Services) -> Sequence[Step]:
    """Give what any worker does, whoever else does the same."""

    def sweep() -> None:
        dropped = sweep_uploads(app)
        if dropped:
            log.info("uploads.swept", sessions=dropped)
        expired = sweep_pending(app)
        if expired:
            log.info("pending-tags.swept", tags=expired)

    return (
        Step("uploads", SWEEP_SECONDS, sweep),
        Step("claims", SWEEP_SECONDS, lambda: Sweep(app, SYSTEM).tidy_claims()),
        Step("promotions", TURN_SECONDS, lambda: take_turn(app)),
    )


def led_steps(app: Services) -> Sequence[LedStep]:
    """Give what one worker of all does. Opens the keys; only the sandbox may do without.

    Raises KeyMissing, and InvalidInput or Unreachable for a key that is no good.
    """
    settings, production = app.settings, app.settings.mode is Mode.PRODUCTION
    steps: list[LedStep] = []
    if production or settings.log.key is not None:
        witnesses = Witnesses.configured(settings.log)
        signer = open_log_signer(settings)
        integrate = Integrator(app, signer, witnesses=witnesses).turn
        rings = settings.log.batch
        steps.append(LedStep(LOG, settings.log.checkpoint_seconds, integrate, app.db.entries_written, rings))
        steps.append(LedStep(LOG_SEARCH, INDEX_SECONDS, lambda _: index_turn(app)))
        if production or settings.vsa.key is not None:  # what is summed up is what the log says
            sum_up = Summarizer(app, open_vsa_key(settings.vsa), signer.key).turn
            steps.append(LedStep(summaries.NAME, summaries.TURN_SECONDS, sum_up))
    return steps


async def work(app: Services) -> None:
    """Run a worker that answers nobody, until SIGTERM or SIGINT. Raises as `led_steps` does."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Worker(app.db, app.entropy, each=steps_of_lone_worker(app), led=led_steps(app)):
        log.info("worker.started", log=app.settings.log_origin)
        await stop.wait()
    log.info("worker.stopped")
