"""GET, HEAD and DELETE of blobs. The bytes themselves come from the store, by redirect."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from tidegate.digest import Digest
from tidegate_registry.artifacts.blobs import Blob, find_blob
from tidegate_registry.artifacts.errors import DeletesRefused
from tidegate_registry.artifacts.http.answers import DigestText, Name, errors
from tidegate_registry.artifacts.names import parse_repository
from tidegate_registry.services import App, Caller

router = APIRouter(tags=["blobs"])


@router.get(
    "/v2/{name:path}/blobs/{digest}",
    operation_id="getBlob",
    summary="Read a blob",
    status_code=307,
    response_class=RedirectResponse,
    response_description="`Location` is a short-lived link to the object store, which also answers `Range`",
    responses=errors(400, 403, 404),
)
def get_blob(name: Name, digest: DigestText, app: App, who: Caller) -> Response:
    """Answer with a link to the bytes; the client checks them against the digest."""
    blob = find_blob(app, who, parse_repository(name), Digest.parse(digest))
    headers = {"Docker-Content-Digest": blob.key.digest, "Cache-Control": "no-store"}
    return RedirectResponse(app.blobs.presign_get(blob.key), 307, headers)


@router.head(
    "/v2/{name:path}/blobs/{digest}",
    operation_id="headBlob",
    summary="Ask whether a blob is there, and how long it is",
    response_class=Response,
    response_description="It is there; `Content-Length` is its length",
    responses=errors(400, 403, 404),
)
def head_blob(name: Name, digest: DigestText, app: App, who: Caller) -> Response:
    """Answer from the registry's own rows: the link of `getBlob` is good for GET alone."""
    return Response(headers=_headers(find_blob(app, who, parse_repository(name), Digest.parse(digest))))


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


def _headers(blob: Blob) -> dict[str, str]:
    return {
        "Content-Length": str(blob.size),
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": blob.key.digest,
        "Accept-Ranges": "bytes",
        "ETag": f'"{blob.key.digest}"',
    }
