"""The one scheduler: steps that each process does, and steps that one of all replicas does, under a lease.

A step is idempotent and comes around again whatever became of its last turn. It runs in a thread of its own, as do the
renewals of leases: a server whose threads are all taken by requests must not lose its lease over it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from tidegate.errors import TidegateError
from tidegate_registry.audit.leader import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    TAKE_SECONDS,
    LeadershipLost,
    Lease,
    acquire,
    make_holder,
    release,
    renew,
)
from tidegate_registry.bell import Bell
from tidegate_registry.logs import get_logger

if TYPE_CHECKING:
    from tidegate_registry.db import Db

log = get_logger()
T = TypeVar("T")

STOP_SECONDS = 5  # for a turn that is under way; whatever it does may be cut off
FAILED_SECONDS = 2.0  # until a led step that failed is tried again


class Did(Enum):
    """What a turn came to. MORE: there is more to do, at once."""

    NOTHING = auto()
    SOMETHING = auto()
    MORE = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """Work that each process does every `seconds`."""

    name: str
    seconds: float
    turn: Callable[[], object]


@dataclass(frozen=True, slots=True)
class LedStep:
    """Work that one process of all does every `seconds`, under the lease `name`.

    It comes sooner when `bell` is rung: after a turn that did nothing at the first ring since that turn began, after
    another at the ring `rings`.
    """

    name: str
    seconds: float
    turn: Callable[[Lease], Did]
    bell: Bell | None = None
    rings: int = 1


class Worker:
    """Runs the steps for as long as the context lasts. At its end, each lease is given back."""

    def __init__(
        self, db: Db, entropy: Callable[[int], bytes], *, each: Sequence[Step] = (), led: Sequence[LedStep] = ()
    ) -> None:
        self._db = db
        self._holder = make_holder(entropy)
        self._each = each
        self._led = led
        self._stop = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        # a step's turn, and a question about its lease
        self._crew = ThreadPoolExecutor(max(1, len(each) + 2 * len(led)), "worker")

    async def __aenter__(self) -> Self:
        self._tasks = (
            *(asyncio.create_task(repeat(step, self._stop, self._in_thread)) for step in self._each),
            *(asyncio.create_task(self._wait_to_lead(step)) for step in self._led),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)  # cancelling would leave a thread at work behind us
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._crew.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._crew, work)

    async def _wait_to_lead(self, step: LedStep) -> None:
        while not self._stop.is_set():
            lease = None
            with _Told(step.name):
                lease = await self._in_thread(lambda: acquire(self._db, step.name, self._holder))
            if lease is None:
                await _pause(TAKE_SECONDS, self._stop)
                continue
            await self._lead(step, lease)

    async def _lead(self, step: LedStep, lease: Lease) -> None:
        over, ended = asyncio.Event(), asyncio.Event()
        renewing = asyncio.create_task(self._keep(lease, over, ended))
        try:
            while not (over.is_set() or self._stop.is_set()):
                await self._turn(step, lease, over)
        finally:
            ended.set()
            await renewing  # not cancelled: its thread would go on with a connection that nobody closes
            if not over.is_set():
                with _Told(step.name):
                    await self._in_thread(lambda: release(self._db, lease))

    async def _turn(self, step: LedStep, lease: Lease, over: asyncio.Event) -> None:
        before, did = step.bell.rung if step.bell else 0, None
        with _Told(step.name):
            try:
                did = await self._in_thread(lambda: step.turn(lease))
            except LeadershipLost as error:
                log.warning("leadership.lost", work=step.name, error=str(error))
                over.set()
        if did is None:
            await _pause(FAILED_SECONDS, self._stop, over)
        elif did is not Did.MORE:
            rings = before + (1 if did is Did.NOTHING else step.rings)
            await _pause(step.seconds, self._stop, over, bell=step.bell, rings=rings)

    async def _keep(self, lease: Lease, over: asyncio.Event, ended: asyncio.Event) -> None:
        """Renew until we end; or another one has the lease, or we heard of nobody for as long as it lasts: `over`."""
        until = time.monotonic() + LEASE_SECONDS
        while not (over.is_set() or ended.is_set()):
            await _pause(RENEW_SECONDS, over, ended)
            if ended.is_set():
                return
            with _Told(lease.name):
                asked = time.monotonic()
                kept = await self._in_thread(lambda: renew(self._db, lease))
                until = asked + LEASE_SECONDS if kept else asked
            if time.monotonic() >= until:
                log.warning("leadership.lost", work=lease.name, epoch=lease.epoch)
                over.set()


class _Told:
    """Logs what a step raises, errors of ours as faults, and lets the next turn try again."""

    def __init__(self, work: str) -> None:
        self._work = work

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if isinstance(error, TidegateError):
            log.warning("background.failed", work=self._work, error=str(error))
            return True
        if isinstance(error, Exception):
            # a fault of ours; without the next turn nothing would be done until somebody restarts us
            log.error("background.fault", work=self._work, exc_info=error)
            return True
        return False


async def repeat(
    step: Step, stop: asyncio.Event, in_thread: Callable[[Callable[[], object]], Awaitable[object]]
) -> None:
    """Do `step` in a thread every so often until `stop`; errors are logged, those of ours as faults."""
    while not stop.is_set():
        with _Told(step.name):
            await in_thread(step.turn)
        await _pause(step.seconds, stop)


async def _pause(seconds: float, *ends: asyncio.Event, bell: Bell | None = None, rings: int = 0) -> None:
    """Wait until the time is over, or one of `ends` is set, or `bell` has been rung `rings` times in all."""
    waiting: list[asyncio.Future[object]] = [asyncio.ensure_future(end.wait()) for end in ends]
    if bell is not None:
        waiting.append(asyncio.ensure_future(bell.reach(rings)))
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
