"""JSON bodies as we read all JSON from outside: bounded, no duplicate members, no surprises of nesting."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from tidegate.formats.jcs import parse_json
from tidegate_registry.artifacts.errors import BodyTooLarge
from tidegate_registry.artifacts.http.body import read_body

if TYPE_CHECKING:
    from tidegate_registry.services import Services

MAX_JSON_BYTES = 1 << 20  # a thousand blobs with their digests are a sixth of it
SHORT_JSON_BYTES = 16 << 10  # parsed in 10 ms at worst; a MiB of it takes half a second, and strangers may send it


class _StrictRequest(Request):
    """A request whose body FastAPI gets from us, read and parsed before its handler runs."""

    async def load(self) -> None:
        """Read and parse the body. Raises BodyTooLarge, RequestTimeout, JsonInvalid."""
        app: Services = self.app.state.services
        self._body = await read_body(
            self, most=MAX_JSON_BYTES, limits=app.settings.limits, what="a body", error=BodyTooLarge
        )
        if self._body:
            parse = partial(parse_json, self._body, limit=MAX_JSON_BYTES, what="the body")
            self._json = parse() if len(self._body) <= SHORT_JSON_BYTES else await run_in_threadpool(parse)


class StrictJsonRoute(APIRoute):
    """The route class of routers whose handlers take JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler that FastAPI makes, which would report our errors as one of its own."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            loaded = _StrictRequest(request.scope, request.receive)
            await loaded.load()
            return await handle(loaded)

        return strict
