"""Blobs on their way straight to the store of a Tidegate registry: plan, PUT, commit. Source: openapi.yaml.

The registry signs a link for each blob that it lacks; the store checks that the bytes have the digest. What was sent
before a break is there after it: another plan says so. No credential of ours goes to the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from tidegate.digest import CHUNK_BYTES, Digest, Hasher
from tidegate.errors import (
    AccessDenied,
    BundleRefused,
    Conflict,
    InvalidInput,
    NotFound,
    TidegateError,
    Unauthenticated,
    Unreachable,
)
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.remote.crew import Crew
from tidegate.remote.transport import Transport, push_scope
from tidegate.remote.uploads import PARALLEL_UPLOADS, Begin, Body, OpenBlob, begin_sending, is_busy

if TYPE_CHECKING:
    from tidegate.formats.manifest import Descriptor
    from tidegate.remote.stores import Stores

MAX_BLOBS = 1000  # of one request
MAX_ANSWER_BYTES = 8 << 20  # 1000 links of at most 8 KiB; real ones have a tenth of that
MAX_ROUNDS = 4  # plans for what did not arrive: a link that ran out, a store that was away
FRESH_SECONDS = 60.0  # a link that waited longer for its turn is asked for again
MAX_PARTS = 10_000  # S3
COMMIT_BYTES_PER_SECOND = 30 << 20  # the registry reads again what came in parts, and a slow store takes its time
SILENCE_SECONDS = 60.0
BUSY_SECONDS, MOST_BUSY_SECONDS = 0.25, 5.0  # between questions while another request works on the same upload

Item = TypeVar("Item")

_SENT = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_THERE = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT)  # somebody else was first; whose it is, commit tells
_AGAIN = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR)  # a link or session ran out
_OTHER_BYTES = re.compile(r"BadDigest|InvalidDigest|ChecksumMismatch")  # S3's codes for a body that was not signed
_OTHER_REGISTRY = (NotFound, Unauthenticated, AccessDenied, InvalidInput)  # whoever may not push is told so by OCI too


@dataclass(frozen=True, slots=True)
class Link:
    """A PUT that the store is waiting for. Names of headers are lower-case."""

    url: str
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, value: JsonValue) -> Link:
        """Read a link of a plan. Raises Unreachable."""
        fields = _object(value)
        url, headers = fields.get("url"), _object(fields.get("headers"))
        if not isinstance(url, str):
            raise _strange("url", url)
        named = {name.lower(): text for name, text in headers.items() if isinstance(text, str)}
        if len(named) != len(headers):
            raise _strange("headers", headers)
        return cls(url, named)


@dataclass(frozen=True, slots=True)
class Planned:
    """What to do with a blob: nothing, one PUT to `link`, or `parts` parts of `part_bytes`. `at`: when it was said."""

    blob: Descriptor
    at: float
    link: Link | None = None
    part_bytes: int = 0
    parts: int = 0
    session: str | None = None

    @property
    def missing(self) -> bool:
        """Whether there is something to send."""
        return self.link is not None or self.parts > 0

    @classmethod
    def parse(cls, value: JsonValue, blob: Descriptor, at: float) -> Planned:
        """Read the plan for `blob`. Raises Unreachable when it makes no sense."""
        fields = _object(value)
        session = fields.get("session")
        named = session if isinstance(session, str) else None
        if fields.get("digest") != blob.digest:
            raise _strange("digest", fields.get("digest"))
        if fields.get("state") == "present":
            return cls(blob, at)
        if "put" in fields:
            return cls(blob, at, Link.parse(fields["put"]), session=named)
        cut = _object(fields.get("multipart"))
        size, parts = cut.get("partBytes"), cut.get("parts")
        if not isinstance(size, int) or not isinstance(parts, int) or not 0 < parts <= MAX_PARTS or named is None:
            raise _strange("multipart", cut)
        if not (parts - 1) * size < blob.size <= parts * size:
            raise _strange("multipart", cut)
        return cls(blob, at, part_bytes=size, parts=parts, session=named)


@dataclass(frozen=True, slots=True)
class _Part:
    """Where a part of a blob begins, and how long it is."""

    number: int
    start: int
    size: int


class _Tally:
    """Counts bytes as done, those of a blob that must be sent again only once."""

    def __init__(self, missing: Sequence[Descriptor], advance: Callable[[int], None]) -> None:
        self._sizes = {blob.digest: blob.size for blob in missing}
        self._done = dict.fromkeys(self._sizes, 0)
        self._advance = advance
        self._lock = Lock()

    def counter(self, blob: Descriptor) -> Callable[[int], None]:
        """Give what counts bytes of `blob`; one that was there at first, and is no more, was never counted on."""

        def count(size: int) -> None:
            if blob.digest in self._done:
                with self._lock:
                    self._done[blob.digest] += size
                    self._advance(size)

        return count

    def keep_all_but(self, left: Sequence[Descriptor]) -> None:
        """After a round: what has arrived is done, by whomever it was sent, and nothing of the rest."""
        again = {blob.digest for blob in left}
        for digest, size in self._sizes.items():
            wanted = 0 if digest in again else size
            self._advance(wanted - self._done[digest])
            self._done[digest] = wanted


@dataclass(frozen=True, slots=True)
class _Sending:
    """Who sends, and who counts it."""

    crew: Crew
    tally: _Tally


class DirectUploads:
    """Sends blobs of one repository to the store, in one run. `stores` decides which links are followed."""

    def __init__(
        self,
        transport: Transport,
        name: str,
        open_blob: OpenBlob,
        stores: Stores,
        *,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._transport, self._name, self._open_blob, self._stores = transport, name, open_blob, stores
        self._sleep, self._monotonic = sleep, monotonic
        self._refused: str | None = None

    def send(self, blobs: Sequence[Descriptor], begin: Begin | None) -> int | None:
        """Send what is missing and give the number of blobs sent; None when the registry does not know this way.

        Raises the first error of a transfer, or what the registry's refusal stands for.
        """
        try:
            planned = self._plan(blobs)
        except TidegateError as error:
            if isinstance(error, _OTHER_REGISTRY) or type(error) is TidegateError:
                return None
            raise
        missing = [each.blob for each in planned if each.missing]
        with begin_sending(begin, blobs, missing) as advance:
            tally = _Tally(missing, advance)
            for attempt in range(MAX_ROUNDS):
                self._send_all([each for each in planned if each.missing], tally)
                left = self._commit(planned)
                tally.keep_all_but(left)
                if not left:
                    return len(missing)
                self._sleep(attempt)
                planned = self._plan(left)
        raise Unreachable(
            "the registry's store does not keep what is sent to it",
            code="store-failed",
            found=self._refused or left[0].digest,
            expected=f"{left[0].digest} there after {MAX_ROUNDS} attempts",
        )

    def _send_all(self, planned: Sequence[Planned], tally: _Tally) -> None:
        sending = _Sending(Crew(PARALLEL_UPLOADS, "push"), tally)
        for each in sorted(planned, key=lambda plan: plan.blob.size, reverse=True):
            sending.crew.add(lambda each=each: self._send(each, sending))  # type: ignore[misc]
        sending.crew.run()

    def _plan(self, blobs: Sequence[Descriptor]) -> list[Planned]:
        planned: list[Planned] = []
        for some in _batches(blobs):
            at = self._monotonic()
            body: JsonObject = {"blobs": [{"digest": blob.digest, "size": blob.size} for blob in some]}
            answer = self._ask("POST", "", body, "say where blobs belong").get("blobs")
            if not isinstance(answer, list) or len(answer) != len(some):
                raise _strange("blobs", answer)
            planned += [Planned.parse(item, blob, at) for item, blob in zip(answer, some, strict=True)]
        return planned

    def _commit(self, planned: Sequence[Planned]) -> list[Descriptor]:
        """Have taken in what was sent, and give what has not arrived. May be repeated."""
        left: list[Descriptor] = []
        for some in _batches(planned):
            blobs: list[JsonValue] = [
                {"digest": each.blob.digest, "size": each.blob.size, "session": each.session}
                if each.session
                else {"digest": each.blob.digest, "size": each.blob.size}
                for each in some
            ]
            slow = sum(each.blob.size for each in some if each.parts)
            silence = SILENCE_SECONDS + slow / COMMIT_BYTES_PER_SECOND
            answer = self._ask_when_free({"blobs": blobs}, silence).get("blobs")
            if not isinstance(answer, list) or len(answer) != len(some):
                raise _strange("blobs", answer)
            left += [
                each.blob
                for item, each in zip(answer, some, strict=True)
                if _object(item) != {"digest": each.blob.digest, "state": "present"}
            ]
        return left

    def _ask_when_free(self, body: JsonObject, silence: float) -> JsonObject:
        """Commit, after any other request that works on the same sessions: of a run beside this one under the same
        name, or of our own before the line broke. Waits for it as long as for an answer.
        """
        waited, wait = 0.0, BUSY_SECONDS
        while True:
            try:
                return self._ask("POST", "/commit", body, "take in what was sent", silence)
            except Conflict as error:
                if not is_busy(error) or waited >= silence:
                    raise
            self._sleep(wait)
            waited, wait = waited + wait, min(2 * wait, MOST_BUSY_SECONDS)

    def _send(self, planned: Planned, sending: _Sending) -> None:
        sending.crew.check()
        blob, link = planned.blob, planned.link
        if link is None:
            self._begin_parts(planned, sending)
            return
        if self._monotonic() - planned.at > FRESH_SECONDS:
            fresh = self._plan([blob])[0]
            if fresh.session != planned.session or fresh.link is None:
                return  # things have changed: commit tells what, and another plan what to do
            link = fresh.link
        body = Body(lambda: self._open_blob(blob.digest), blob.size, sending.tally.counter(blob), sending.crew)
        self._put(link, body, blob)

    def _begin_parts(self, planned: Planned, sending: _Sending) -> None:
        """Ask which parts are there already; the others are tasks of their own."""
        try:
            stored = self._ask("GET", f"/{planned.session}", None, "say what it has of a blob").get("stored")
        except NotFound:
            return  # the session is over: commit tells what became of it
        items = [item for item in stored if isinstance(item, dict)] if isinstance(stored, list) else []
        have = {item.get("number"): item.get("size") for item in items}
        for number in range(1, planned.parts + 1):
            start = (number - 1) * planned.part_bytes
            part = _Part(number, start, min(planned.part_bytes, planned.blob.size - start))
            if have.get(number) == part.size:
                sending.tally.counter(planned.blob)(part.size)
            else:
                sending.crew.add(lambda part=part: self._send_part(planned, part, sending))  # type: ignore[misc]

    def _send_part(self, planned: Planned, part: _Part, sending: _Sending) -> None:
        sending.crew.check()

        def open_part() -> BinaryIO:
            file = self._open_blob(planned.blob.digest)
            if file.seekable():
                file.seek(part.start)
                return file
            left = part.start  # a blob in an archive
            while left and (skipped := len(file.read(min(CHUNK_BYTES, left)))):
                left -= skipped
            return file

        body: JsonObject = {
            "session": planned.session,
            "parts": [{"number": part.number, "sha256": _hash(open_part, part.size, sending.crew)}],
        }
        try:
            links = self._ask("POST", "/parts", body, "say where a part belongs").get("parts")
        except NotFound:
            return
        if not isinstance(links, list) or len(links) != 1 or _object(links[0]).get("number") != part.number:
            raise _strange("parts", links)
        counter = sending.tally.counter(planned.blob)
        self._put(Link.parse(links[0]), Body(open_part, part.size, counter, sending.crew), planned.blob)

    def _put(self, link: Link, body: Body, blob: Descriptor) -> None:
        """Send bytes to the store. Whether they arrived is for the commit to say, unless they never can."""
        self._stores.check(link.url, link.headers, body.size)
        headers = {**link.headers, "content-length": str(body.size)}
        status, said = self._transport.put_elsewhere(link.url, headers=headers, body=body)
        if status in _SENT or status in _THERE:
            return
        body.take_back()
        if status in _AGAIN:
            self._refused = f"{status}: {said}"
            return
        if status == HTTPStatus.BAD_REQUEST and _OTHER_BYTES.search(said):
            raise BundleRefused(
                "the store refuses the bytes: they are not what the digest names",
                code="blob-digest",
                found=said,
                expected=blob.digest,
                hint="the layout is damaged, or was changed meanwhile: build it again",
            )
        raise Unreachable("the registry's store refuses the bytes", code="store-failed", found=f"{status}: {said}")

    def _ask(
        self, method: str, path: str, body: JsonObject | None, what: str, silence: float | None = None
    ) -> JsonObject:
        raw = canonical_bytes(body) if body is not None else None
        headers = {"Content-Type": "application/json", "Content-Length": str(len(raw))} if raw is not None else {}
        answer = self._transport.request(
            method,
            f"/api/v1/agents/{self._name}/uploads{path}",
            what=what,
            scopes=push_scope(self._name),
            headers=headers,
            body=None if raw is None else lambda: (raw,),
            limit=MAX_ANSWER_BYTES,
            silence=silence,
        )
        return parse_object(answer.body, limit=MAX_ANSWER_BYTES, what="the registry's plan")


def _hash(open_part: Callable[[], BinaryIO], size: int, crew: Crew) -> Digest:
    hasher = Hasher()
    with open_part() as file:
        while hasher.size < size and (chunk := file.read(min(CHUNK_BYTES, size - hasher.size))):
            crew.check()
            hasher.update(chunk)
    return hasher.digest


def _batches(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + MAX_BLOBS] for start in range(0, len(items), MAX_BLOBS)]


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise _strange("member", value)
    return value


def _strange(what: str, found: object) -> Unreachable:
    return Unreachable(
        "the registry's plan for the upload makes no sense", code="plan-invalid", found=f"{what}: {found!r}"[:300]
    )
