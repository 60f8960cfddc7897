"""`/healthz`: the process answers. `/readyz`: so does everything it needs. `/metrics`: numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from tidegate.errors import TidegateError
from tidegate_registry.access.token_keys import load_token_key
from tidegate_registry.logs import get_logger
from tidegate_registry.services import App
from tidegate_registry.settings import Settings

if TYPE_CHECKING:
    from tidegate_registry.services import Services

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
def readyz(app: App) -> JSONResponse:
    """Try every dependency; details stay in the log, as this needs no credential."""
    checks = {name: _outcome(name, check) for name, check in dependencies(app).items()}
    ready = all(outcome == "ok" for outcome in checks.values())
    return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)


@router.get("/metrics", operation_id="metrics", summary="Read the metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Prometheus text format."""
    answer: Response = request.app.state.metrics.render()
    return answer


def dependencies(app: Services) -> dict[str, Callable[[], None]]:
    """Give a check for each thing that serving needs; each raises what is wrong."""
    return {
        "database": app.db.ping,
        "store": app.blobs.ping,
        "spool": app.stage.ping,
        "trust_file": app.trust.check if app.trust is not None else _nothing_to_check,
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
