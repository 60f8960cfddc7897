"""What every sandbox service needs of HTTP: bounded bodies, typed input, one shape of error, loopback only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.errors import (
    AccessDenied,
    InvalidInput,
    LimitExceeded,
    NotFound,
    TidegateError,
    Unauthenticated,
)
from tidegate.formats.jcs import parse_json

MAX_BODY_BYTES = 64 << 10  # the largest real request, a Rekor entry with an RSA-4096 certificate, is below 8 KiB
MAX_TREE_SIZE = (1 << 53) - 1
MAX_SHOWN = 80
UNEXPECTED_FORM = "unexpected_form"  # of a field whose validator says what it expects, and nothing else
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost"})

ModelT = TypeVar("ModelT", bound=BaseModel)

# HTTP status and the gRPC code that Sigstore's gateways put beside it (google.rpc.Code)
RENDERED: dict[type[TidegateError], tuple[int, int]] = {
    InvalidInput: (400, 3),
    Unauthenticated: (401, 16),
    AccessDenied: (403, 7),
    NotFound: (404, 5),
    LimitExceeded: (413, 8),
    TidegateError: (500, 13),
}


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """Read at most `limit` bytes; raises LimitExceeded before buffering more."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise LimitExceeded("that request is too large", expected=f"at most {limit} bytes")
    return bytes(body)


async def read_model(request: Request, model: type[ModelT]) -> ModelT:
    """Read a JSON body into `model`; the content type is demanded so that no web page can send one unasked (CORS)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput(
            "that request is not JSON",
            found=request.headers.get("content-type", "no content type"),
            expected="application/json",
        )
    return parse_model(await read_body(request), model)


def parse_model(raw: bytes, model: type[ModelT]) -> ModelT:
    value = parse_json(raw, limit=MAX_BODY_BYTES, what="the request")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _first_problem(error) from None


def query_integer(request: Request, name: str) -> int:
    """Give a query parameter that is a tree size or index."""
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_TREE_SIZE)):
        raise InvalidInput(f"`{name}` is not a number", found=text[:40] or "nothing", expected="0 to 2^53-1")
    return int(text)


def bearer_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def json_endpoint(
    model: type[ModelT], handle: Callable[[Request, ModelT], dict[str, object]], status: int = 200
) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint: read and check the body on the loop, do the work (crypto, disk) in a thread."""

    async def endpoint(request: Request) -> Response:
        body = await read_model(request, model)
        return JSONResponse(await run_in_threadpool(handle, request, body), status)

    return endpoint


async def render_error(_: Request, error: Exception) -> Response:
    """Answer `{"code", "message"}`, the shape that Sigstore clients read."""
    if not isinstance(error, TidegateError):
        raise error
    status, code = next(RENDERED[kind] for kind in type(error).__mro__ if kind in RENDERED)
    reason = error.reasons[0]
    facts = [f"{name}: {value}" for name, value in (("found", reason.found), ("expected", reason.expected)) if value]
    message = f"{reason.message} ({'; '.join(facts)})" if facts else reason.message
    return JSONResponse({"code": code, "message": message, "reason": reason.code}, status)


async def render_crash(_: Request, __: Exception) -> Response:
    """Answer a bug without its text, which may hold what nobody outside should read; the server logs it."""
    return JSONResponse({"code": 13, "message": "internal error"}, 500)


class LoopbackOnly:
    """Refuse requests whose Host is not this machine: a web page cannot reach the sandbox by rebinding its DNS name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rpartition(":")[0]
            if host not in LOOPBACK_NAMES:
                answer = JSONResponse({"code": 7, "message": "the sandbox answers on loopback names only"}, 403)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _first_problem(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    if first["type"] == UNEXPECTED_FORM:
        return InvalidInput(f"`{where}` is not valid", found=repr(first["input"])[:MAX_SHOWN], expected=first["msg"])
    return InvalidInput("that request is not valid", found=f"{where}: {first['msg']}")
