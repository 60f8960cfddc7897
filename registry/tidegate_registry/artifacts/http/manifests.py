"""GET, HEAD, PUT and DELETE of manifests. A PUT by version is the one request that decides about admission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from tidegate_registry.artifacts.errors import DeletesRefused
from tidegate_registry.artifacts.http.answers import (
    UNCHANGED,
    Name,
    Reference,
    conditional,
    content_headers,
    errors,
    manifest_path,
)
from tidegate_registry.artifacts.http.blobs import RETENTION_HINT
from tidegate_registry.artifacts.http.body import read_body
from tidegate_registry.artifacts.http.fast import keep
from tidegate_registry.artifacts.manifests import StoredManifest, demand_put, put_manifest, read_manifest
from tidegate_registry.artifacts.names import parse_repository, parse_tags, parse_target
from tidegate_registry.services import App, Caller, Services

router = APIRouter(tags=["manifests"])

EVENT_ID = "Tidegate-Event-Id"  # the audit entry that records a change
MAX_WARNINGS_BYTES = 3500  # OCI distribution-spec 1.1: all of them should be at most 4096 bytes

PENDING = "Tidegate-Pending"  # the version is no release yet: it waits for evidence
STRICT = "handling=strict"  # RFC 7240 section 4.4

MANIFEST = {
    "requestBody": {
        "required": True,
        "content": {
            "application/vnd.oci.image.manifest.v1+json": {"schema": {"type": "object"}},
            "application/vnd.oci.image.index.v1+json": {"schema": {"type": "object"}},
        },
    }
}


@router.get(
    "/v2/{name:path}/manifests/{reference}",
    operation_id="getManifest",
    summary="Read a manifest",
    response_class=Response,
    response_description="The manifest, byte for byte as it was pushed",
    responses=UNCHANGED | errors(400, 403, 404),
)
def get_manifest(name: Name, reference: Reference, request: Request, app: App, who: Caller) -> Response:
    """By digest, version or working tag. What is in quarantine is there for the agent's signers alone."""
    target = parse_target(reference, channels=app.settings.channels)
    drops = app.reads.drops
    manifest = read_manifest(app, who, parse_repository(name), target)
    return _answer(app, request, manifest, Response(manifest.raw, headers=_headers(manifest)), drops=drops)


@router.head(
    "/v2/{name:path}/manifests/{reference}",
    operation_id="headManifest",
    summary="Ask which manifest a reference names",
    response_class=Response,
    response_description="It is there; `Docker-Content-Digest` names it",
    responses=UNCHANGED | errors(400, 403, 404),
)
def head_manifest(name: Name, reference: Reference, request: Request, app: App, who: Caller) -> Response:
    """As `getManifest`, without the body."""
    target = parse_target(reference, channels=app.settings.channels)
    drops = app.reads.drops
    manifest = read_manifest(app, who, parse_repository(name), target)
    return _answer(app, request, manifest, Response(headers=_headers(manifest)), drops=drops)


@router.put(
    "/v2/{name:path}/manifests/{reference}",
    operation_id="putManifest",
    summary="Store a manifest (by digest), or ask that it become a release (by version)",
    status_code=201,
    response_class=Response,
    response_description="Stored, or admitted; `Tidegate-Event-Id` names the audit entry",
    responses=errors(400, 403, 404, 408, 409, 413),
    openapi_extra=MANIFEST,
)
async def put(
    *,
    name: Name,
    reference: Reference,
    request: Request,
    app: App,
    who: Caller,
    tag: Annotated[list[str] | None, Query(description="With a digest: a tag to give at once. Repeatable")] = None,
    prefer: Annotated[
        list[str] | None, Header(description=f"`{STRICT}`: refuse a version rather than let it wait for its signature")
    ] = None,
) -> Response:
    """By digest it is stored in quarantine. By version it is admitted or refused, with every unmet requirement in the
    answer; a version never moves again. Where the charter defers admission, a version that lacks nothing but evidence
    waits for it: then `Tidegate-Pending` is in the answer. Channels are refused: a promotion moves them.
    """
    target = parse_target(reference, channels=app.settings.channels)
    tags = parse_tags(tag or (), target, channels=app.settings.channels)
    repository = parse_repository(name)
    for each in (target, *tags):  # before a byte of the body is read
        await run_in_threadpool(demand_put, app, who, repository, each)
    limits = app.settings.limits
    raw = await read_body(request, most=limits.manifest_bytes, limits=limits)
    content_type = request.headers.get("content-type")
    accepted = await run_in_threadpool(
        put_manifest,
        app,
        who,
        repository,
        target,
        raw=raw,
        content_type=content_type,
        tags=tags,
        strict=_is_strict(prefer),
    )
    headers = {
        "Location": manifest_path(repository, reference),
        "Docker-Content-Digest": accepted.digest,
    }
    if tags:
        headers["OCI-Tag"] = ", ".join(each.text for each in tags)
    if accepted.subject is not None:
        headers["OCI-Subject"] = accepted.subject
    if accepted.event_id is not None:
        headers[EVENT_ID] = accepted.event_id
    if accepted.pending:
        headers[PENDING] = "true"
    if accepted.warnings:
        headers["Warning"] = _warnings(accepted.warnings)
    return Response(status_code=201, headers=headers)


@router.delete(
    "/v2/{name:path}/manifests/{reference}",
    operation_id="deleteManifest",
    summary="Refused: nothing is deleted through this API",
    status_code=405,
    responses=errors(405),
)
def delete_manifest(name: Name, reference: Reference) -> Response:
    """Refuse: a version, once published, stays what it is."""
    raise DeletesRefused(
        "manifests are not deleted through this API", found=f"{name}:{reference}"[:300], hint=RETENTION_HINT
    )


def _is_strict(prefer: list[str] | None) -> bool:
    return STRICT in {each.strip().lower().replace(" ", "") for value in prefer or () for each in value.split(",")}


def _answer(app: Services, request: Request, manifest: StoredManifest, answer: Response, *, drops: int) -> Response:
    if manifest.lasting:
        keep(app, request, manifest.repository, answer, drops=drops)
    return conditional(request, answer)


def _headers(manifest: StoredManifest) -> dict[str, str]:
    headers = content_headers(manifest.digest, manifest.media_type, len(manifest.raw))
    if manifest.revoked is not None:
        headers["Warning"] = _warnings([f"this release was revoked: {manifest.revoked}"])
    return headers


def _warnings(messages: Sequence[str]) -> str:
    """Write a Warning header, for clients that show one. Source: OCI distribution-spec 1.1, "Warnings"."""
    found: list[str] = []
    for message in messages:
        text = message.encode("ascii", "backslashreplace").decode().replace("\\", "\\\\").replace('"', "'")
        if sum(map(len, found)) + len(text) + len(found) * 10 > MAX_WARNINGS_BYTES:
            break
        found.append(f'299 - "{text}"')
    return ", ".join(found)
