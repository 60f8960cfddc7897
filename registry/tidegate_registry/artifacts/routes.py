"""All routes of the artifacts room, in the order in which they are tried."""

from __future__ import annotations

from fastapi import APIRouter

from tidegate_registry.artifacts.http import blobs, direct, lists, manifests, uploads

router = APIRouter()
for part in (lists, uploads, blobs, manifests, direct):
    router.include_router(part.router)
