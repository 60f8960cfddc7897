"""Reads of released things, answered ahead of the router: the same answer again, to a caller who may have it now.

This decides nothing. The routes answer a request for the first time and say that it may be kept (`keep`); here a
request of the same method and path, verbatim, gets the same answer, if the access room says from its own memory that
the caller may pull. Whatever is not plainly such a request goes on to the routes: no credential or one not seen yet, a
query, a body, a repeated header, a path that nobody asked for before. So there is no second parser of paths, no second
rule about rights, and no answer that a route did not give. Source: docs/adr/0011-kept-answers.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.http.answers import NOT_MODIFIED, STAYS_IN_304, is_known
from tidegate_registry.artifacts.reads import KeptAnswer
from tidegate_registry.observe import Observation

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tidegate_registry.metrics import Metrics
    from tidegate_registry.services import Services

READS = frozenset({"GET", "HEAD"})
UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})  # a read has no body


class KeptReads:
    """An ASGI application in front of another. Its answers are observed like all others."""

    def __init__(self, app: ASGIApp, *, services: Services, metrics: Metrics) -> None:
        self._app, self._services, self._metrics = app, services, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        started = time.perf_counter()
        found = self._find(scope) if scope["type"] == "http" and scope["method"] in READS else None
        if found is None:
            await self._app(scope, receive, send)
            return
        kept, known = found
        status, headers, body = kept.status, kept.headers, kept.body
        if known:
            status, headers, body = NOT_MODIFIED, tuple(each for each in headers if each[0] in STAYS_IN_304), b""
        observed = Observation(self._metrics, scope, started)
        try:
            observed.status = status
            await send({"type": "http.response.start", "status": status, "headers": [*headers, observed.header]})
            await send({"type": "http.response.body", "body": body})
        finally:
            observed.end(scope)

    def _find(self, scope: Scope) -> tuple[KeptAnswer, bool] | None:
        """Give the answer, and whether the caller has it already. Leaves on `scope` what the routes would."""
        if scope["query_string"] or scope.get("root_path"):
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        authorization = headers.get(b"authorization")
        if authorization is None or len(headers) != len(scope["headers"]) or not UNUSUAL.isdisjoint(headers):
            return None
        app = self._services
        host = _link_host(app, headers.get(b"host", b"").decode("latin-1"))
        kept = app.reads.find((scope["method"], scope["path"], host))
        if kept is None or (kept.until is not None and app.clock() >= kept.until):
            return None
        principal = app.access.recall(authorization, Permission.ARTIFACT_PULL, kept.repository)
        if principal is None:
            return None
        scope["route"], scope["path_params"] = kept.route, kept.path_params
        scope["state"]["principal"] = principal
        condition = headers.get(b"if-none-match")
        return kept, condition is not None and is_known(condition.decode("latin-1"), kept.etag)


def keep(
    app: Services,
    request: Request,
    repository: str,
    answer: Response,
    *,
    drops: int | None = None,
    until: datetime | None = None,
) -> None:
    """Keep what a route answers, for everybody who may pull from `repository`. For released things alone.

    `drops`: `app.reads.drops` as it was before the route looked; None where a revocation changes nothing.
    """
    scope = request.scope
    kept = KeptAnswer(
        repository=repository,
        status=answer.status_code,
        headers=tuple(answer.raw_headers),
        body=bytes(answer.body),
        etag=answer.headers.get("etag"),
        until=until,
        route=scope["route"],
        path_params=request.path_params,
    )
    host = _link_host(app, request.headers.get("host", ""))
    app.reads.keep((request.method, scope["path"], host), kept, drops=drops)


def _link_host(app: Services, host: str) -> str:
    """Give the Host header where links differ by it, else nothing: anybody may write anything there."""
    by_host = app.settings.s3.presign_endpoints
    return known if by_host and (known := host.lower()) in by_host else ""
