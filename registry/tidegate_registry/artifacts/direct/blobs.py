"""What plan and commit have in common: blobs as clients announce them, and what is known of them before they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from tidegate.digest import Digest
from tidegate_registry.artifacts import sessions
from tidegate_registry.artifacts.blobs import linked_sizes, readable_elsewhere, shared_digests
from tidegate_registry.artifacts.errors import SizeDiffers, UploadInvalid
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.storage.blobs import BlobKey, StoredBlob
from tidegate_registry.storage.uploads import UploadTooLarge

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

MARK_DIGITS = 32  # 128 bits of a sha256
T = TypeVar("T")
R = TypeVar("R")


class State(StrEnum):
    """What became of a blob."""

    PRESENT = "present"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Announced:
    """A blob that a client has. `size` in bytes; `session`: the one its plan gave, if any."""

    digest: Digest
    size: int
    session: str | None = None


def check_announced(app: Services, who: Principal, repository: str, blobs: Sequence[Announced]) -> None:
    """Check what can be checked without the bytes. Raises UploadInvalid, UploadTooLarge."""
    if len({blob.digest for blob in blobs}) != len(blobs):
        raise UploadInvalid("a digest is listed twice", expected="each blob once")
    most = sessions.most_bytes(app, who, repository)
    for blob in blobs:
        if blob.size > most:
            raise UploadTooLarge(
                "that is more than one blob may have",
                found=f"{blob.size} bytes for {blob.digest}",
                expected=f"at most {most} bytes",
            )


def find_available(
    app: Services, who: Principal, repository: str, blobs: Sequence[Announced]
) -> dict[Digest, str | None]:
    """Give what need not be sent: blobs of `repository` (None), and of others of its namespace that `who` may read.

    Raises SizeDiffers where one is not as long as announced.
    """
    digests = {blob.digest for blob in blobs}
    with app.db.read() as tx:
        sizes = {Digest(digest): size for digest, size in linked_sizes(tx, repository, digests).items()}
    available: dict[Digest, str | None] = dict.fromkeys(sizes)
    for digest in shared_digests(app, repository, digests - sizes.keys()):
        if found := readable_elsewhere(app, who, repository, digest):
            available[digest], sizes[digest] = found.repository, found.size
    for blob in blobs:
        if sizes.get(blob.digest, blob.size) != blob.size:
            raise SizeDiffers(
                "a blob with this digest has another size",
                found=f"{blob.size} for {blob.digest}",
                expected=sizes[blob.digest],
            )
    return available


def final_key(repository: str, digest: Digest) -> BlobKey:
    """Say where the blob is kept."""
    return BlobKey(namespace_of(repository), digest)


def mark_of(who: Principal, repository: str) -> str:
    """Give the mark that links for `who` and `repository` put on what they create."""
    return Digest.of(f"{who.key}\n{repository}".encode()).hex[:MARK_DIGITS]


def is_own(stored: StoredBlob, blob: Announced, mark: str) -> bool:
    """Whether what is stored is the whole blob, and came through a link that was made for its announcer."""
    return (stored.mark, stored.size, stored.sha256) == (mark, blob.size, blob.digest)


def in_parallel(app: Services, ask: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Ask for each item, several at once; the answers are in the order of `items`. When all have ended, the first
    error is raised. The threads are those of the process: however many requests there are, they are no more.
    """
    if len(items) <= 1:
        return [ask(item) for item in items]
    asked = [app.store_crew.submit(ask, item) for item in items]
    wait(asked)
    return [each.result() for each in asked]
