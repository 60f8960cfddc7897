"""`/healthz`: the process answers. `/readyz`: so does everything it needs. `/metrics`: numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from tidegate.errors import TidegateError
from tidegate_registry.access.token_keys import load_token_key
from tidegate_registry.audit.halt import demand_not_halted
from tidegate_registry.logs import get_logger
from tidegate_registry.services import App
from tidegate_registry.settings import Settings

if TYPE_CHECKING:
    from tidegate_registry.services import Services

READY_FOR = timedelta(seconds=2)  # below any orchestrator's period, so each probe of its own still tries everything
BELIEVED_FOR = timedelta(seconds=30)  # an answer that is being renewed; then whatever hangs makes us not ready

log = get_logger()
router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """What the registry needs, each `ok` or what is wrong with it."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(examples=[{"database": "ok", "store": "store-unavailable"}])


@router.get("/healthz", operation_id="health", summary="Ask whether the process answers")
async def healthz() -> Health:
    """Answer without touching anything."""
    return Health()


@router.get(
    "/readyz",
    operation_id="readiness",
    summary="Ask whether requests can be served, and what is missing if not",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something is missing; `checks` says what"}},
)
def readyz(request: Request, app: App) -> JSONResponse:
    """Try every dependency; details stay in the log, as this needs no credential."""
    cache: ReadinessCache = request.app.state.readiness
    found = cache.get(app)
    return JSONResponse(found.model_dump(), 200 if found.status == "ready" else 503)


@router.get("/metrics", operation_id="metrics", summary="Read the metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Prometheus text format."""
    answer: Response = request.app.state.metrics.render()
    return answer


class ReadinessCache:
    """Keeps the last answer for READY_FOR: whoever may ask must not be able to load database and store by asking.

    One caller at a time tries the dependencies. The others get the last answer at once, so that none of them holds a
    thread while something hangs.
    """

    def __init__(self) -> None:
        self._trying = threading.Lock()
        self._last: tuple[datetime, Readiness] | None = None

    def get(self, app: Services) -> Readiness:
        """Give the state of everything that serving needs."""
        return self._kept(app.clock(), READY_FOR) or self._renew(app)

    def _renew(self, app: Services) -> Readiness:
        if not self._trying.acquire(blocking=False):
            return self._kept(app.clock(), BELIEVED_FOR) or Readiness(status="not ready", checks=_BEING_TRIED)
        try:
            checks = {name: _outcome(name, check) for name, check in dependencies(app).items()}
            ready = all(outcome == "ok" for outcome in checks.values())
            found = Readiness(status="ready" if ready else "not ready", checks=checks)
            self._last = (app.clock(), found)
        finally:
            self._trying.release()
        return found

    def _kept(self, now: datetime, how_long: timedelta) -> Readiness | None:
        last = self._last
        return last[1] if last is not None and timedelta(0) <= now - last[0] < how_long else None


_BEING_TRIED = {"readiness": "being-tried"}


def dependencies(app: Services) -> dict[str, Callable[[], None]]:
    """Give a check for each thing that serving needs; each raises what is wrong."""
    return {
        "database": app.db.ping,
        "store": app.blobs.ping,
        "trust_file": app.trust.check if app.trust is not None else _nothing_to_check,
        "log": lambda: demand_not_halted(app),
        "signing_key": lambda: _check_signing_key(app.settings),
    }


def _check_signing_key(settings: Settings) -> None:
    """Check that a restart would find the key, too; the sandbox may do without a file."""
    if settings.token_key_file is not None:
        load_token_key(settings.token_key_file)


def _nothing_to_check() -> None:
    """Pass."""


def _outcome(name: str, check: Callable[[], None]) -> str:
    started = time.perf_counter()
    try:
        check()
    except TidegateError as error:
        log.warning("not_ready", dependency=name, error=str(error), ms=round((time.perf_counter() - started) * 1000))
        return error.reasons[0].code  # no message: who asks has shown no credential, and messages name paths and hosts
    return "ok"
