"""The log's static files under /log/. HTTP only.

The paths are those in the bucket, and so are the headers: a bucket or a cache may answer in place of the registry.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import RedirectResponse, Response

from tidegate.tlog.tiles import CHECKPOINT_PATH
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.http.answers import NOT_MODIFIED, UNCHANGED, is_known
from tidegate_registry.audit.static import LogFileUnknown, read_log_file
from tidegate_registry.services import App
from tidegate_registry.storage.blobs import LogKey

router = APIRouter(prefix="/log", tags=["log"])

LogReader = Annotated[Principal, Depends(Requires(Permission.LOG_READ))]
HashTilePath = Annotated[str, Path(description="`<L>/<N>[.p/<W>]`, as C2SP tlog-tiles writes it", examples=["0/000"])]
BundlePath = Annotated[str, Path(description="`<N>[.p/<W>]`, as C2SP tlog-tiles writes it", examples=["000.p/17"])]
Algorithm = Annotated[str, Path(description="`sha256` or `sha512`", examples=["sha256"])]
Shard = Annotated[str, Path(description="The first two digits of `digits`", examples=["e3"])]
Digits = Annotated[
    str,
    Path(
        description="The digits of the digest, in lower case",
        examples=["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ),
]


@router.get(
    "/checkpoint",
    operation_id="getCheckpoint",
    summary="Read the signed checkpoint of the audit log",
    response_class=Response,
    responses=UNCHANGED,
)
@router.head(
    "/checkpoint",
    operation_id="headCheckpoint",
    summary="Ask whether the checkpoint has changed",
    response_class=Response,
    responses=UNCHANGED,
)
def get_checkpoint(request: Request, app: App) -> Response:
    """A signed note (C2SP tlog-checkpoint): the log's name, size and root hash, and cosignatures. Public."""
    return _serve(request, app, LogKey(CHECKPOINT_PATH))


@router.get(
    "/tile/entries/{path:path}",
    operation_id="getEntryBundle",
    summary="Read a bundle of up to 256 entries",
    response_class=Response,
    responses=UNCHANGED,
)
@router.head(
    "/tile/entries/{path:path}",
    operation_id="headEntryBundle",
    summary="Ask for the size of an entry bundle",
    response_class=Response,
    responses=UNCHANGED,
)
def get_entry_bundle(path: BundlePath, request: Request, app: App, who: LogReader) -> Response:  # noqa: ARG001
    """Each entry is its length in two bytes, and its canonical JSON. What it says is proven by the tiles alone."""
    return _serve(request, app, _key(f"tile/entries/{path}"))


@router.get(
    "/tile/{path:path}",
    operation_id="getHashTile",
    summary="Read a tile of hashes",
    response_class=Response,
    responses=UNCHANGED,
)
@router.head(
    "/tile/{path:path}",
    operation_id="headHashTile",
    summary="Ask for the size of a tile of hashes",
    response_class=Response,
    responses=UNCHANGED,
)
def get_hash_tile(path: HashTilePath, request: Request, app: App) -> Response:
    """Up to 256 hashes of 32 bytes. Public: they tell nothing of the entries but how many there are."""
    key = _key(f"tile/{path}")
    if not key.is_public:  # unreachable while the route for entries is asked first; this one asks for no token
        raise LogFileUnknown("the log has no such tile of hashes", found=path[:200])
    return _serve(request, app, key)


@router.get(
    "/objects/{algorithm}/{shard}/{digits}",
    operation_id="getLogObject",
    summary="Read what entries name by digest",
    response_class=Response,
    responses=UNCHANGED,
)
@router.head(
    "/objects/{algorithm}/{shard}/{digits}",
    operation_id="headLogObject",
    summary="Ask for the size of what entries name by digest",
    response_class=Response,
    responses=UNCHANGED,
)
def get_log_object(
    *,
    algorithm: Algorithm,
    shard: Shard,
    digits: Digits,
    request: Request,
    app: App,
    who: LogReader,  # noqa: ARG001
) -> Response:
    """What is too large for an entry: records, policies, evidence. Whoever reads it checks it against its name."""
    return _serve(request, app, _key(f"objects/{algorithm}/{shard}/{digits}"))


@router.get(
    "/entries/{path:path}",
    operation_id="redirectEntryBundle",
    summary="Find a bundle of entries by its older path",
    status_code=308,
    response_class=RedirectResponse,
    response_description="It is at `/log/tile/entries/…`",
)
def redirect_entry_bundle(path: BundlePath) -> RedirectResponse:
    """The path that C2SP's first version had."""
    return RedirectResponse(f"/{_key(f'tile/entries/{path}').path}", 308)


def _key(name: str) -> LogKey:
    """Read a name that came in a URL. Raises LogFileUnknown."""
    try:
        return LogKey(name)
    except ValueError as error:
        raise LogFileUnknown("no file of a log is called so", found=name[:200]) from error


def _serve(request: Request, app: App, key: LogKey) -> Response:
    file = read_log_file(app, key)
    body, etag = file.raw, file.etag
    headers = {
        "Cache-Control": key.cache_control,
        "Content-Type": key.content_type,
        "X-Content-Type-Options": "nosniff",  # objects are what anybody may have pushed
    }
    if not key.is_public:
        headers["Vary"] = "Accept-Encoding, Authorization"
        if file.gzipped is not None and accepts_gzip(request.headers.get("accept-encoding", "")):
            body, etag = file.gzipped, f'{etag[:-1]}-gzip"'  # other bytes need another strong tag: RFC 9110, 8.8.3.3
            headers["Content-Encoding"] = "gzip"
    headers["ETag"] = etag
    if is_known(request.headers.get("if-none-match", ""), etag):
        headers.pop("Content-Encoding", None)
        return Response(status_code=NOT_MODIFIED, headers=headers)
    answer = Response(body, headers=headers)
    if request.method == "HEAD":
        answer.body = b""  # Content-Length stays what GET would send
    return answer


def accepts_gzip(header: str) -> bool:
    """Whether `Accept-Encoding` lets an answer be gzip. Source: RFC 9110 section 12.5.3."""
    weights: dict[str, float] = {}
    for item in header.lower().split(","):
        coding, _, weight = item.partition(";")
        name, _, value = weight.partition("=")
        try:
            weights[coding.strip()] = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
