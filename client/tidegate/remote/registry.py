"""A registry as the client sees it: the OCI Distribution API 1.1, and the little of Tidegate's own API that it needs.

Nothing a registry says is believed that can be computed here: digests and sizes are checked, answers are bounded.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlencode, urljoin

from tidegate.digest import Digest
from tidegate.errors import BundleRefused, Conflict, LimitExceeded, NotFound
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.manifest import MAX_MANIFEST_BYTES, MAX_REFERRERS, Descriptor, Manifest
from tidegate.formats.mediatypes import OCI_INDEX, OCI_MANIFEST
from tidegate.remote.address import RegistryAddress
from tidegate.remote.api import Api
from tidegate.remote.blobs import OpenSpan, chunks_between, open_blob_stream
from tidegate.remote.direct import DirectUploads
from tidegate.remote.stores import Resolve, Stores, resolve
from tidegate.remote.tokens import Identity
from tidegate.remote.transport import Answer, Transport, pull_scope, push_scope
from tidegate.remote.uploads import Begin, push_to_registry

if TYPE_CHECKING:
    import httpx2

MAX_PAGES = 100  # of tags or referrers
MAX_TAGS = 100_000
MAX_TAGS_ANSWER_BYTES = 4 << 20
_ACCEPT = f"{OCI_MANIFEST}, {OCI_INDEX}"
_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;[^,]*\brel="?next"?')  # RFC 8288, as the Distribution Spec uses it


@dataclass(frozen=True, slots=True)
class Named:
    """What a registry answered to a manifest that was put. `event`: the id of its entry in the audit log, if any."""

    digest: Digest
    event: str | None = None


class Registry:
    """The one HTTP client of a registry. Safe from several threads. Close it with the `client` it was given.

    `identity` gives OIDC tokens for the registry's URL; None stays anonymous. `api`: Tidegate's own API.
    """

    def __init__(
        self,
        address: RegistryAddress | str,
        client: httpx2.Client,
        identity: Identity | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = resolve,
    ) -> None:
        self.address = RegistryAddress.parse(address) if isinstance(address, str) else address
        self._sleep, self._monotonic = sleep, monotonic
        self._stores = Stores(self.address, resolve)
        self._transport = Transport(
            self.address, client, identity, stores=self._stores, sleep=sleep, monotonic=monotonic
        )
        self._takes_direct = True
        self.api = Api(self._transport)

    def ping(self) -> None:
        """Check that an OCI registry answers and lets us in. Raises Unreachable, Unauthenticated."""
        self._transport.request("GET", "/v2/", what="say that it is a registry")

    def whoami(self) -> JsonObject:
        """Ask who the registry takes us for."""
        return self.api.get("/whoami", what="say who we are")

    def login_options(self) -> JsonObject:
        """Ask where people log in to get a token for this registry."""
        return self.api.get("/login-options", what="say where people log in")

    def resolve(self, name: str, version: str) -> Digest | None:
        """Ask which digest `version` names, None if it names none we may see. Only a hint: nothing is proven by it."""
        try:
            return self.manifest(name, version).digest
        except NotFound:
            return None

    def manifest(self, name: str, reference: str, *, limit: int = MAX_MANIFEST_BYTES) -> Manifest:
        """Fetch a manifest of at most `limit` bytes by digest or version.

        Raises NotFound, LimitExceeded, BundleRefused (code "manifest-altered").
        """
        try:
            answer = self._transport.request(
                "GET",
                f"/v2/{name}/manifests/{reference}",
                what=f"give the manifest {name}{_at(reference)}",
                scopes=pull_scope(name),
                headers={"Accept": _ACCEPT},
                limit=limit,
            )
        except NotFound as error:
            raise _absent(error, f"{self.address.host}/{name}{_at(reference)}") from error
        wanted = Digest.parse(reference) if ":" in reference else None
        manifest = Manifest.parse(
            answer.body,
            content_type=answer.headers.get("content-type"),
            algorithm=wanted.algorithm if wanted else "sha256",
        )
        claimed = wanted or answer.headers.get("docker-content-digest", manifest.digest)
        if manifest.digest != claimed:
            raise BundleRefused(
                "the registry sent another manifest than the digest names",
                code="manifest-altered",
                found=manifest.digest,
                expected=claimed,
                hint="the registry is damaged or dishonest: do not use what it sent, tell its operator",
            )
        return manifest

    def has_manifest(self, name: str, reference: str) -> bool:
        """Whether the registry has the manifest and shows it to us."""
        return self._transport.exists(
            f"/v2/{name}/manifests/{reference}", scopes=pull_scope(name), headers={"Accept": _ACCEPT}
        )

    def open_blob(self, name: str, descriptor: Descriptor) -> BinaryIO:
        """Open a blob for reading; size and digest are checked when its end is read. See BlobStream."""
        return open_blob_stream(self._opener(name, descriptor), descriptor)

    def blob_chunks(
        self, name: str, descriptor: Descriptor, start: int, stop: int, on_partial: Callable[[], None] | None = None
    ) -> Iterator[bytes]:
        """Give the bytes of a blob from `start` to before `stop`, that many, unhashed. See `chunks_between`."""
        return chunks_between(self._opener(name, descriptor), descriptor, start, stop, on_partial)

    def read_blob(self, name: str, descriptor: Descriptor, *, limit: int) -> bytes:
        """Fetch a blob of at most `limit` bytes. Raises LimitExceeded before asking, BundleRefused."""
        if descriptor.size > limit:
            raise LimitExceeded(
                "a blob is too large", found=f"{descriptor.size} bytes", expected=f"at most {limit} bytes"
            )
        with self.open_blob(name, descriptor) as stream:
            return stream.read()

    def referrers(self, name: str, subject: Digest, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
        """List what refers to `subject`, all pages, filtered here too.

        A registry may leave some out, as it may withhold anything: docs/threats.md, "What remains".
        """
        query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
        found: list[Descriptor] = []
        pages = self._pages(
            f"/v2/{name}/referrers/{subject}{query}",
            what=f"list the referrers of {subject}",
            scopes=pull_scope(name),
            limit=MAX_MANIFEST_BYTES,
        )
        for page in pages:
            found += Manifest.parse(page.body, content_type=OCI_INDEX).manifests
            if len(found) > MAX_REFERRERS:
                raise LimitExceeded("a manifest has too many referrers", expected=f"at most {MAX_REFERRERS}")
        return tuple(item for item in found if artifact_type in (None, item.artifact_type))

    def tags(self, name: str) -> tuple[str, ...]:
        """List tags, all pages."""
        found: list[str] = []
        pages = self._pages(
            f"/v2/{name}/tags/list",
            what=f"list the tags of {name}",
            scopes=pull_scope(name),
            limit=MAX_TAGS_ANSWER_BYTES,
        )
        for page in pages:
            tags = parse_object(page.body, limit=MAX_TAGS_ANSWER_BYTES, what="the registry's tags").get("tags")
            found += [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
            if len(found) > MAX_TAGS:
                raise LimitExceeded("a repository has too many tags", expected=f"at most {MAX_TAGS}")
        return tuple(found)

    def push_blobs(
        self,
        name: str,
        blobs: Iterable[Descriptor],
        open_blob: Callable[[Digest], BinaryIO],
        begin: Begin | None = None,
    ) -> int:
        """Send what the registry lacks, several at once, and give the number of blobs sent.

        `open_blob` opens a blob's bytes from their start and may be called again. `begin` is told what is missing and
        shows how it goes. A Tidegate registry has the bytes sent straight to its store. The first error stops the rest.
        Raises Unreachable (code "store-refused" for a link that is not followed), or the registry's refusal.
        """
        unique = list({blob.digest: blob for blob in blobs}.values())
        checkable = all(blob.digest.algorithm == "sha256" for blob in unique)  # by the store
        if unique and checkable and self._takes_direct:
            direct = DirectUploads(
                self._transport, name, open_blob, self._stores, sleep=self._sleep, monotonic=self._monotonic
            )
            if (sent := direct.send(unique, begin)) is not None:
                return sent
            self._takes_direct = False
        return push_to_registry(self._transport, name, unique, open_blob, begin)

    def push_manifest(self, name: str, manifest: Manifest, *, version: str | None = None) -> Named:
        """Put a manifest by its digest, or give it a version. The blobs it names must be there.

        Giving a version is the decision: raises AdmissionRefused with every unmet requirement, Conflict, AccessDenied.
        """
        reference = version or manifest.digest
        answer = self._transport.request(
            "PUT",
            f"/v2/{name}/manifests/{reference}",
            what=f"take the manifest {name}{_at(reference)}",
            scopes=push_scope(name),
            headers={
                "Content-Type": manifest.media_type,
                "Content-Length": str(len(manifest.raw)),
                "Prefer": "handling=strict",  # a version is named or refused: ours never waits for a signature
            },
            body=lambda: (manifest.raw,),
            expect=(HTTPStatus.CREATED,),
        )
        stored = answer.headers.get("docker-content-digest", manifest.digest)
        if stored != manifest.digest:
            raise Conflict("the registry stored another manifest", found=stored[:200], expected=manifest.digest)
        return Named(manifest.digest, answer.headers.get("tidegate-event-id"))

    def _opener(self, name: str, descriptor: Descriptor) -> OpenSpan:
        def open_span(start: int, stop: int) -> httpx2.Response:
            return self._transport.open_content(
                f"/v2/{name}/blobs/{descriptor.digest}",
                what=f"give the blob {descriptor.digest}",
                scopes=pull_scope(name),
                span=(start, stop) if (start, stop) != (0, descriptor.size) else None,
            )

        return open_span

    def _pages(self, target: str, *, what: str, scopes: Sequence[str], limit: int) -> Iterator[Answer]:
        for _ in range(MAX_PAGES):
            answer = self._transport.request("GET", target, what=what, scopes=scopes, limit=limit)
            yield answer
            link = _NEXT.search(answer.headers.get("link", ""))
            if link is None:
                return
            target = self._transport.url(urljoin(self._transport.url(target), link[1]))
        raise LimitExceeded(f"the registry has no end of pages when asked to {what}", expected=f"at most {MAX_PAGES}")


def _absent(error: NotFound, where: str) -> NotFound:
    hint = "what is in quarantine, or hidden from whoever asks, looks just as if it were not there"
    return NotFound(
        f"{where} is not there", code=error.reasons[0].code, hint=f"{hint}; {error.hint}" if error.hint else hint
    )


def _at(reference: str) -> str:
    return f"@{reference}" if ":" in reference else f":{reference}"
