"""GET, HEAD and DELETE of blobs. The bytes themselves come from the store, by redirect or through here."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from tidegate.digest import Digest
from tidegate_registry.artifacts.blobs import Blob, find_blob
from tidegate_registry.artifacts.errors import DeletesRefused
from tidegate_registry.artifacts.http.answers import (
    NOT_MODIFIED,
    UNCHANGED,
    DigestText,
    Name,
    conditional,
    content_headers,
    errors,
)
from tidegate_registry.artifacts.http.fast import keep
from tidegate_registry.artifacts.http.streams import stream_blob
from tidegate_registry.artifacts.names import parse_repository
from tidegate_registry.services import App, Caller
from tidegate_registry.settings import Downloads

router = APIRouter(tags=["blobs"])

MAX_LINK_REUSE = timedelta(minutes=5)  # a link dies with a role's temporary keys, which are renewed 10 to 15 min before
STREAMED: dict[int | str, dict[str, object]] = {
    200: {"description": "The bytes, where the registry is set to send them itself"},
    206: {"description": "Those of the bytes that `Range` asked for, likewise; `Content-Range` says which"},
}


@router.get(
    "/v2/{name:path}/blobs/{digest}",
    operation_id="getBlob",
    summary="Read a blob",
    status_code=307,
    response_class=RedirectResponse,
    response_description="`Location` is a short-lived link to the object store, which also answers `Range`",
    responses=STREAMED | UNCHANGED | errors(400, 403, 404, 416),
)
def get_blob(name: Name, digest: DigestText, request: Request, app: App, who: Caller) -> Response:
    """Answer with a link to the bytes, or with the bytes, as the setting `downloads` says; the client checks them
    against the digest.
    """
    repository = parse_repository(name)
    blob = find_blob(app, who, repository, Digest.parse(digest))
    if app.settings.downloads is Downloads.STREAM:
        answer = conditional(request, Response(headers=_headers(blob)))
        if answer.status_code == NOT_MODIFIED:
            return answer
        return stream_blob(app, blob, _headers(blob), _range_of(request, answer.headers["etag"]))
    headers = {"Docker-Content-Digest": blob.key.digest, "Cache-Control": "no-store"}
    now = app.clock()  # before the link is made, so that it is never younger than we think
    link = app.blobs.presign_get(blob.key, request.headers.get("host", ""))
    answer = RedirectResponse(link, 307, headers)
    if blob.released:
        keep(app, request, repository, answer, until=now + _reusable(app.settings.s3.presign_seconds))
    return answer


@router.head(
    "/v2/{name:path}/blobs/{digest}",
    operation_id="headBlob",
    summary="Ask whether a blob is there, and how long it is",
    response_class=Response,
    response_description="It is there; `Content-Length` is its length",
    responses=UNCHANGED | errors(400, 403, 404),
)
def head_blob(name: Name, digest: DigestText, request: Request, app: App, who: Caller) -> Response:
    """Answer from the registry's own rows: the link of `getBlob` is good for GET alone."""
    repository = parse_repository(name)
    blob = find_blob(app, who, repository, Digest.parse(digest))
    answer = Response(headers=_headers(blob))
    if blob.released:
        keep(app, request, repository, answer)
    return conditional(request, answer)


@router.delete(
    "/v2/{name:path}/blobs/{digest}",
    operation_id="deleteBlob",
    summary="Refused: nothing is deleted through this API",
    status_code=405,
    responses=errors(405),
)
def delete_blob(name: Name, digest: DigestText) -> Response:
    """Refuse: a release names what it needs for ever."""
    raise DeletesRefused("blobs are not deleted through this API", found=f"{name}@{digest}"[:300], hint=RETENTION_HINT)


RETENTION_HINT = "what no release, channel or host needs is removed by the operator's retention run"


def _reusable(seconds: int) -> timedelta:
    """Give how long a link may be handed out again: half of its life stays for whoever gets it last."""
    return min(timedelta(seconds=seconds) / 2, MAX_LINK_REUSE)


def _range_of(request: Request, etag: str) -> str | None:
    """Give the Range header where it counts: `If-Range` wants the rest of this very content, or else all.

    Source: RFC 9110 section 13.1.5, strong comparison; there are no dates here that could be compared.
    """
    wanted = request.headers.get("if-range")
    return request.headers.get("range") if wanted is None or wanted.strip() == etag else None


def _headers(blob: Blob) -> dict[str, str]:
    return content_headers(blob.key.digest, "application/octet-stream", blob.size) | {"Accept-Ranges": "bytes"}
