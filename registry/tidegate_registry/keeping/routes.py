"""What a namespace keeps. HTTP only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.api import Namespace, Out, answer
from tidegate_registry.keeping.quota import read_usage
from tidegate_registry.services import App

router = APIRouter(prefix="/api/v1", tags=["operations"])

Lister = Annotated[Principal, Depends(Requires(Permission.AGENT_LIST))]


class UsageOut(Out):
    """What a namespace keeps, in numbers and bytes."""

    namespace: str = Field(examples=["acme"])
    used: int = Field(description="Bytes that count: every blob that was pushed, once, and the manifests")
    limit: int | None = Field(description="Most bytes that it may keep; none: as much as there is room for")
    blobs: int
    blob_bytes: int
    manifests: int
    manifest_bytes: int


@router.get(
    "/namespaces/{namespace}/usage",
    operation_id="getUsage",
    summary="Show how much a namespace keeps",
    response_model=UsageOut,
)
def get_usage(*, namespace: Namespace, request: Request, app: App, who: Lister) -> Response:
    """For those who may publish or attest in it; to all others it does not exist."""
    return answer(request, UsageOut.model_validate(read_usage(app, who, namespace)))
