"""`GET /v2/`, tags and referrers."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from tidegate.digest import Digest
from tidegate.formats.mediatypes import OCI_INDEX
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.http.answers import DigestText, Name, errors
from tidegate_registry.artifacts.lists import list_referrers, list_tags
from tidegate_registry.artifacts.names import parse_page, parse_repository
from tidegate_registry.services import App, Caller

router = APIRouter(tags=["lists"])


class TagList(BaseModel):
    """Tags in order; only what the caller may see."""

    name: str = Field(examples=["acme/support"])
    tags: list[str] = Field(examples=[["1.0.0", "1.1.0"]])


class ReferrersIndex(BaseModel):
    """An OCI image index whose members are the referrers."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: int = Field(2, alias="schemaVersion")
    media_type: str = Field(OCI_INDEX, alias="mediaType")
    manifests: list[dict[str, object]]


@router.get(
    "/v2/",
    operation_id="ping",
    summary="Ask whether this is an OCI registry and the credential is good",
    response_description="It is, and it is",
    responses=errors(),
)
def ping(app: App, who: Caller) -> JSONResponse:
    """Answer 401 without a token, always, so that clients learn where to get one."""
    app.access.demand(who, Permission.REGISTRY_PING)
    return JSONResponse({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})


@router.get(
    "/v2/{name:path}/tags/list",
    operation_id="listTags",
    summary="List the tags of a repository",
    response_model=TagList,
    response_description="A page of tags; `Link` leads to the next",
    responses=errors(400, 403, 404),
)
def tags(
    name: Name,
    app: App,
    who: Caller,
    n: Annotated[str | None, Query(description="Most entries of this page; `0` gives an empty list")] = None,
    last: Annotated[str | None, Query(description="Begin after this tag")] = None,
) -> JSONResponse:
    """Versions for everyone who may read the agent; working tags too for those who may publish."""
    repository = parse_repository(name)
    page = parse_page(n, last, most=app.settings.limits.page_entries)
    found = list_tags(app, who, repository, page)
    headers = {}
    if found.more:
        headers["Link"] = _next(f"/v2/{repository}/tags/list", n=str(page.size), last=found.names[-1])
    return JSONResponse({"name": repository, "tags": list(found.names)}, headers=headers)


@router.get(
    "/v2/{name:path}/referrers/{digest}",
    operation_id="listReferrers",
    summary="List what refers to a manifest: signatures, provenance and other evidence",
    response_model=ReferrersIndex,
    response_description="An OCI index, empty if nothing refers to the digest; `Link` leads to the next page",
    responses=errors(400, 403),
)
def referrers(
    *,
    name: Name,
    digest: DigestText,
    app: App,
    who: Caller,
    artifact_type: Annotated[str | None, Query(alias="artifactType", description="Only those of this type")] = None,
    last: Annotated[str | None, Query(description="Begin after this digest; taken from `Link`")] = None,
) -> JSONResponse:
    """Never 404: a digest that nobody pushed has no referrers. Those of a quarantined manifest are hidden with it."""
    repository, subject = parse_repository(name), Digest.parse(digest)
    after = Digest.parse(last) if last else ""
    found = list_referrers(app, who, repository, subject, artifact_type=artifact_type, last=after)
    headers = {}
    if artifact_type is not None:
        headers["OCI-Filters-Applied"] = "artifactType"
    if found.last is not None:
        filters = {} if artifact_type is None else {"artifactType": artifact_type}
        headers["Link"] = _next(f"/v2/{repository}/referrers/{subject}", **filters, last=found.last)
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(found.descriptors)}
    return JSONResponse(body, headers=headers, media_type=OCI_INDEX)


def _next(path: str, **query: str) -> str:
    return f'<{quote(path, safe="/:")}?{urlencode(query)}>; rel="next"'
