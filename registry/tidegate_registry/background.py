"""What the registry does by itself while it runs: drop uploads that nobody continued. A failure waits a turn."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from starlette.concurrency import run_in_threadpool

from tidegate.errors import TidegateError
from tidegate_registry.artifacts.uploads import sweep_uploads
from tidegate_registry.logs import get_logger

if TYPE_CHECKING:
    from tidegate_registry.services import Services

log = get_logger()

SWEEP_SECONDS = 300  # far below the life of an upload session, so that disk is given back soon after it


class Background:
    """Runs the periodic work in one task for as long as the context lasts."""

    def __init__(self, app: Services) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                dropped = await run_in_threadpool(sweep_uploads, self._app)
            except TidegateError as error:
                log.warning("uploads.sweep_failed", error=str(error))
            else:
                if dropped:
                    log.info("uploads.swept", sessions=dropped)
            await asyncio.sleep(SWEEP_SECONDS)
