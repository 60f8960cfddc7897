"""What decisions name by digest and auditors must be able to fetch beside the log: bundles, configs, trusted roots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.audit.service import LogObject
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from tidegate.verify.trust import Trust


def blob_objects(repository: str, digests: Iterable[Digest]) -> list[LogObject]:
    """Give blobs of the repository's namespace as objects, in the order of their digests."""
    namespace = namespace_of(repository)
    return [LogObject(each, source=BlobKey(namespace, each)) for each in sorted(set(digests))]


def root_objects(trust: Trust) -> list[LogObject]:
    """Give the trusted roots as objects."""
    return [LogObject(root.digest, body=root.raw) for root in trust.roots]
