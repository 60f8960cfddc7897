"""Uploads: POST begins (or does all at once, or mounts), PATCH continues, PUT ends, GET asks, DELETE cancels.

The handlers that carry bytes are the only asynchronous ones; whatever blocks in them runs in a thread.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from tidegate.digest import Digest
from tidegate_registry.artifacts import uploads
from tidegate_registry.artifacts.blobs import mount_blob
from tidegate_registry.artifacts.errors import UploadInvalid
from tidegate_registry.artifacts.http.answers import (
    DigestQuery,
    Name,
    Session,
    created_blob,
    errors,
    upload_headers,
)
from tidegate_registry.artifacts.http.receiving import Receiving
from tidegate_registry.artifacts.names import parse_repository
from tidegate_registry.services import App, Caller

router = APIRouter(tags=["uploads"])

_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,15})-([0-9]{1,15})(?:/(?:\*|[0-9]{1,15}))?")

BYTES = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


@router.post(
    "/v2/{name:path}/blobs/uploads/",
    operation_id="beginUpload",
    summary="Begin an upload, send a whole blob, or mount one",
    status_code=202,
    response_class=Response,
    response_description="The upload goes on at `Location`",
    responses=errors(400, 403, 404, 408, 413, 429, 507)
    | {201: {"description": "The blob is there: sent whole (`digest`) or mounted (`mount`)"}},
    openapi_extra=BYTES,
)
async def begin_upload(
    *,
    name: Name,
    request: Request,
    app: App,
    who: Caller,
    digest: Annotated[str | None, Query(description="The body is the whole blob with this digest")] = None,
    mount: Annotated[str | None, Query(description="Take this blob from another repository")] = None,
    from_: Annotated[
        str | None, Query(alias="from", description="The repository to mount from; none: any of the namespace")
    ] = None,
) -> Response:
    """A mount that is not possible, or not allowed, becomes an ordinary upload, as the Distribution Spec says."""
    repository = parse_repository(name)
    if mount is not None:
        wanted = Digest.parse(mount)
        if await run_in_threadpool(mount_blob, app, who, repository, wanted, from_):
            return Response(status_code=201, headers=created_blob(repository, wanted))
    whole = Digest.parse(digest) if digest is not None else None
    # one that is none is refused before a session is begun that nobody would end
    bounds = parse_content_range(request.headers.get("content-range"))
    upload = await run_in_threadpool(uploads.begin_upload, app, who, repository)
    if whole is None:
        return Response(status_code=202, headers=upload_headers(upload))
    await Receiving(request, app, who, repository, upload.id, bounds, resumable=False).end(whole)
    return Response(status_code=201, headers=created_blob(repository, whole))


@router.get(
    "/v2/{name:path}/blobs/uploads/{session}",
    operation_id="getUpload",
    summary="Ask how far an upload has come",
    status_code=204,
    response_class=Response,
    response_description="`Range` names the last byte that is kept",
    responses=errors(400, 403, 404),
)
def get_upload(name: Name, session: Session, app: App, who: Caller) -> Response:
    """Answer where to go on."""
    upload = uploads.find_upload(app, who, parse_repository(name), session)
    return Response(status_code=204, headers=upload_headers(upload))


@router.patch(
    "/v2/{name:path}/blobs/uploads/{session}",
    operation_id="continueUpload",
    summary="Send the next bytes of an upload",
    status_code=202,
    response_class=Response,
    response_description="The bytes are kept",
    responses=errors(400, 403, 404, 408, 409, 413, 416, 507),
    openapi_extra=BYTES,
)
async def continue_upload(name: Name, session: Session, request: Request, app: App, who: Caller) -> Response:
    """Bytes go to the end of what is there; `Content-Range` is checked when given."""
    repository, bounds = parse_repository(name), parse_content_range(request.headers.get("content-range"))
    upload = await Receiving(request, app, who, repository, session, bounds).take()
    return Response(status_code=202, headers=upload_headers(upload))


@router.put(
    "/v2/{name:path}/blobs/uploads/{session}",
    operation_id="finishUpload",
    summary="End an upload and name its digest",
    status_code=201,
    response_class=Response,
    response_description="The blob is there",
    responses=errors(400, 403, 404, 408, 409, 413, 416, 507),
    openapi_extra=BYTES,
)
async def finish_upload(
    *, name: Name, session: Session, request: Request, app: App, who: Caller, digest: DigestQuery
) -> Response:
    """A body, if there is one, is the last chunk."""
    repository, wanted = parse_repository(name), Digest.parse(digest)
    bounds = parse_content_range(request.headers.get("content-range"))
    await Receiving(request, app, who, repository, session, bounds).end(wanted)
    return Response(status_code=201, headers=created_blob(repository, wanted))


@router.delete(
    "/v2/{name:path}/blobs/uploads/{session}",
    operation_id="cancelUpload",
    summary="Cancel an upload",
    status_code=204,
    response_class=Response,
    response_description="The bytes are dropped",
    responses=errors(400, 403, 404),
)
def cancel_upload(name: Name, session: Session, app: App, who: Caller) -> Response:
    """Drop the bytes."""
    uploads.cancel_upload(app, who, parse_repository(name), session)
    return Response(status_code=204)


def parse_content_range(text: str | None) -> tuple[int, int] | None:
    """Give the first and the last byte that a chunk says it is, None without a header. Raises UploadInvalid."""
    if text is None:
        return None
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise UploadInvalid("Content-Range is not a range", found=text[:80], expected="<first byte>-<last byte>")
    return int(match[1]), int(match[2])
