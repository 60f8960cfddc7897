"""JSON bodies as we read all JSON from outside: bounded, no duplicate members, no surprises of nesting."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from tidegate.formats.jcs import JsonValue, parse_json
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.errors import BodyTooLarge
from tidegate_registry.artifacts.http.body import read_body

if TYPE_CHECKING:
    from tidegate_registry.services import Services

MAX_JSON_BYTES = 1 << 20  # a thousand blobs with their digests are a sixth of it
SHORT_JSON_BYTES = 16 << 10  # parsed in 10 ms at worst; a MiB takes half a second and 30 MB: not for strangers


class _StrictRequest(Request):
    """A request whose body FastAPI gets from us, read and parsed before its handler runs."""

    async def load(self, most: int) -> None:
        """Read and parse the body, of `most` bytes. Raises BodyTooLarge, RequestTimeout, JsonInvalid, LoginNeeded."""
        app: Services = self.app.state.services
        self._body = await read_body(self, most=most, limits=app.settings.limits, what="a body", error=BodyTooLarge)
        if len(self._body) > SHORT_JSON_BYTES:
            self._json = await run_in_threadpool(self._parse_for_known, app, most)
        elif self._body:
            self._json = self._parse(most)

    def _parse_for_known(self, app: Services, most: int) -> JsonValue:
        who = app.access.authenticate(self.headers.get("authorization"))
        app.access.demand(who, Permission.REGISTRY_PING)
        return self._parse(most)

    def _parse(self, most: int) -> JsonValue:
        return parse_json(self._body, limit=most, what="the body")


class StrictJsonRoute(APIRoute):
    """The route class of routers whose handlers take JSON. `most`: bytes of a body."""

    most: ClassVar[int] = MAX_JSON_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler that FastAPI makes, which would report our errors as one of its own."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            loaded = _StrictRequest(request.scope, request.receive)
            await loaded.load(self.most)
            return await handle(loaded)

        return strict
