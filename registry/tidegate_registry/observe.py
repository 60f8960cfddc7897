"""The outermost layer: a request id for each request, one log event and one count for each answer."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request

from tidegate_registry.logs import log_request
from tidegate_registry.metrics import UNMATCHED, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = b"x-request-id"
CLIENT_GONE = 499  # nginx's number for "the client went away before the answer"; ours until an answer begins
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # echoed into headers and logs, so nothing that could break out of them
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # counted, not logged: probes come every few seconds


class Observe:
    """ASGI middleware; also what answers, by `on_fault`, when a handler failed before it answered."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, on_fault: Callable[[Request, Exception], Response]) -> None:
        self.app = app
        self.metrics = metrics
        self.on_fault = on_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, observed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        observed = Observation(self.metrics, scope, time.perf_counter())

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                observed.status = message["status"]
                message["headers"] = [*message.get("headers", ()), observed.header]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=observed.request_id)
        try:
            await self.app(scope, receive, observed_send)
        except Exception as error:
            response = self.on_fault(Request(scope), error)
            if observed.status != CLIENT_GONE:
                raise  # half an answer is out: only breaking the connection tells the client
            await response(scope, receive, observed_send)
        finally:
            observed.end(scope)
            structlog.contextvars.unbind_contextvars("request_id")


class Observation:
    """One request being answered: its id, and at the end its event and its count.

    `status`: of the answer, to be set when it begins. `header`: of the answer, with the request's id.
    """

    __slots__ = ("_metrics", "_started", "header", "request_id", "status")

    def __init__(self, metrics: Metrics, scope: Scope, started: float) -> None:
        """`started`: what `time.perf_counter` said when the request came. The id is left in the scope's state."""
        self._metrics, self._started, self.status = metrics, started, CLIENT_GONE
        self.request_id = scope["state"]["request_id"] = _request_id(scope)
        self.header = (REQUEST_ID, self.request_id.encode())
        metrics.in_flight.inc()

    def end(self, scope: Scope) -> None:
        """Count and log; `scope` says by now which route it was, and who asked for what."""
        metrics = self._metrics
        metrics.in_flight.dec()
        seconds = time.perf_counter() - self._started
        route = route_template(scope)
        metrics.count(scope["method"], route, self.status, seconds)
        if route not in QUIET:
            principal = scope["state"].get("principal")
            log_request(
                method=scope["method"],
                route=route,
                status=self.status,
                ms=round(seconds * 1000, 1),
                principal=principal.name if principal else None,
                repository=scope.get("path_params", {}).get("name"),
                request_id=self.request_id,
            )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID:
            given = value.decode("latin-1")
            return given if _SAFE_ID.fullmatch(given) else _new_id()
    return _new_id()


def _new_id() -> str:
    return os.urandom(16).hex()


def route_template(scope: Scope) -> str:
    """Give the template of the matched route, such as `/v2/{name}/manifests/{reference}`."""
    route = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return template if isinstance(template, str) else UNMATCHED
