"""Tidegate's own API of one registry: JSON documents in and out, pages to their end, refusals as our errors.

Answers are what the registry says, and no more than that. Texts for people come through `clean_text`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tidegate.errors import LimitExceeded, Unreachable
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.remote.transport import READ_API

if TYPE_CHECKING:
    from tidegate.remote.transport import Transport

PREFIX = "/api/v1"
MAX_DOCUMENT_BYTES = 4 << 20
MAX_ITEMS = 10_000
MAX_PAGES = 200
MAX_CURSOR = 1024
_DONE = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Document:
    """An answer, and the ETag that says which state of it this is, if it has one."""

    body: JsonObject
    etag: str | None = None


class Api:
    """Sends and reads JSON. Paths are below /api/v1 and begin with a slash; see `path` for their parts.

    `what` completes "asked to …" in errors. Everything raises what the registry's refusal stands for, Unreachable,
    JsonInvalid, LimitExceeded.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, target: str, *, what: str, query: Mapping[str, str | None] | None = None) -> JsonObject:
        """Fetch a document."""
        return self.fetch(target, what=what, query=query).body

    def fetch(self, target: str, *, what: str, query: Mapping[str, str | None] | None = None) -> Document:
        """Fetch a document with its ETag."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        asked = f"{target}?{urlencode(given)}" if given else target
        return self._send("GET", asked, None, what=what, scopes=READ_API, headers={}, expect=(HTTPStatus.OK,))

    def send(
        self,
        method: str,
        target: str,
        document: Mapping[str, JsonValue],
        *,
        what: str,
        scopes: Collection[str],
        headers: Mapping[str, str] | None = None,
    ) -> JsonObject:
        """Send a document and give the answer; members that are None are left out. `scopes`: see `transport`.

        A request is sent again when its answer was lost: the idempotency key tells the registry that it is the same.
        """
        given = {key: value for key, value in document.items() if value is not None}
        raw = canonical_bytes(given)
        sent = {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            "Idempotency-Key": str(uuid.uuid4()),
            **(headers or {}),
        }
        return self._send(method, target, raw, what=what, scopes=scopes, headers=sent, expect=_DONE).body

    def items(
        self, target: str, *, what: str, query: Mapping[str, str | None] | None = None, most: int = MAX_ITEMS
    ) -> Iterator[JsonObject]:
        """Give the entries of a list, page after page, at most `most` of them."""
        after: str | None = None
        count = 0
        for _ in range(MAX_PAGES):
            page = self.get(target, what=what, query={**(query or {}), "after": after})
            listed = page.get("items")
            for item in listed if isinstance(listed, list) else ():
                if isinstance(item, dict):
                    yield item
                    count += 1
                if count >= most:
                    return
            following = page.get("next")
            if not isinstance(following, str) or not 0 < len(following) <= MAX_CURSOR:
                return
            after = following
        raise LimitExceeded(f"the registry has no end of pages when asked to {what}", expected=f"at most {MAX_PAGES}")

    def _send(
        self,
        method: str,
        target: str,
        body: bytes | None,
        *,
        what: str,
        scopes: Collection[str],
        headers: Mapping[str, str],
        expect: Collection[int],
    ) -> Document:
        answer = self._transport.request(
            method,
            f"{PREFIX}{target}",
            what=what,
            scopes=scopes,
            headers=headers,
            body=None if body is None else lambda: (body,),
            expect=expect,
            limit=MAX_DOCUMENT_BYTES,
        )
        document = parse_object(
            answer.body, limit=MAX_DOCUMENT_BYTES, what=f"the registry's answer when asked to {what}"
        )
        return Document(document, answer.headers.get("etag"))


def path(*parts: str) -> str:
    """Join parts of a path, each escaped so that it stays one; an agent's name is two parts."""
    return "".join(f"/{_part(part)}" for part in parts)


def _part(text: str) -> str:
    return text.replace(".", "%2E") if set(text) == {"."} else quote(text, safe="")  # `..` would lead out


def unintelligible(what: str, found: object = None) -> Unreachable:
    """Make the error for an answer that is JSON and not what was agreed on."""
    return Unreachable(
        f"the registry's answer cannot be understood: {what}",
        code="answer-malformed",
        found=None if found is None else str(found)[:200],
        hint="it may be another version than this client: compare `tidegate --version` with the registry's",
    )
