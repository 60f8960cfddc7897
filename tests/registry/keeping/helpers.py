"""What tests of keeping share: a released manifest, the commands over a running world, the bucket behind it."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING
from unittest import mock

from pydantic import SecretStr

from tests.registry.audit.publishing import publish_log
from tests.registry.world import AGENT, World
from tidegate.digest import Digest
from tidegate_registry.audit.events import Actor
from tidegate_registry.cli import main
from tidegate_registry.keeping.plan import Named
from tidegate_registry.keeping.sweep import Sweep
from tidegate_registry.settings import S3Settings
from tidegate_registry.storage.blobs import BlobKey
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tidegate.formats.manifest import Manifest
    from tidegate_registry.services import Services

OPERATOR = Actor(kind="operator", issuer="", name="ops")


def released(world: World, *layers: bytes, version: str = "1.0.0", repository: str = AGENT) -> Manifest:
    """Push and name a manifest."""
    client = world.client()
    manifest = world.make_manifest(client, *layers, repository=repository)
    assert world.put(client, manifest, version, repository).status_code == 201
    return manifest


def store_of(world: World) -> tuple[S3BlobStore, S3Client]:
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    return store, store.client


def environment(world: World) -> dict[str, str]:
    """The settings of `world` as variables."""
    settings, store = world.services.settings, world.services.blobs
    assert isinstance(store, S3BlobStore)
    s3: S3Settings = settings.s3
    assert isinstance(s3.access_key, SecretStr)
    assert isinstance(s3.secret_key, SecretStr)
    return {
        "TIDEGATE_REGISTRY_MODE": str(settings.mode),
        "TIDEGATE_REGISTRY_DATABASE_URL": settings.database_url.get_secret_value(),
        "TIDEGATE_REGISTRY_S3__ENDPOINT": s3.endpoint or "",
        "TIDEGATE_REGISTRY_S3__BUCKET": s3.bucket,
        "TIDEGATE_REGISTRY_S3__PREFIX": store.prefix,
        "TIDEGATE_REGISTRY_S3__ACCESS_KEY": s3.access_key.get_secret_value(),
        "TIDEGATE_REGISTRY_S3__SECRET_KEY": s3.secret_key.get_secret_value(),
    }


def command(world: World, *arguments: str) -> tuple[int, str, str]:
    """Run `tidegate-registry` with the settings of `world`: exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(world)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def collect(app: Services, *forget: Named) -> set[str]:
    """Collect garbage, and give the digests that went."""
    publish_log(app)  # as a worker does every second
    gone: set[str] = set()
    Sweep(app, OPERATOR, forget=forget, tell=lambda each: gone.add(each.digest)).run()
    return gone


def is_stored(world: World, data: bytes) -> bool:
    return world.services.blobs.stat(BlobKey("acme", Digest.of(data))) is not None
