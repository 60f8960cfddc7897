"""The outermost layer: a request id for each request, one log event and one count for each answer."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from tidegate_registry.logs import get_logger
from tidegate_registry.metrics import UNMATCHED, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = get_logger()

REQUEST_ID = "X-Request-Id"
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
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _SAFE_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), CLIENT_GONE

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, observed_send)
        except Exception as error:
            response = self.on_fault(Request(scope), error)
            if status != CLIENT_GONE:
                raise  # half an answer is out: only breaking the connection tells the client
            await response(scope, receive, observed_send)
        finally:
            self.metrics.in_flight.dec()
            seconds = time.perf_counter() - started
            route = route_template(scope)
            self.metrics.count(scope["method"], route, status, seconds)
            if route not in QUIET:
                principal = scope["state"].get("principal")
                log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                    principal=principal.name if principal else None,
                    repository=scope.get("path_params", {}).get("name"),
                )
            structlog.contextvars.unbind_contextvars("request_id")


def route_template(scope: Scope) -> str:
    """Give the template of the matched route, such as `/v2/{name}/manifests/{reference}`."""
    route = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return template if isinstance(template, str) else UNMATCHED
