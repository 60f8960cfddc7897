"""What a client asks a registry about policies, and what it says. Source: openapi.yaml.

All of it is the registry's word; only a text is compared with the digest that comes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.policy.model import COMPANY
from tidegate.remote.answers import clean_text
from tidegate.remote.api import path, unintelligible
from tidegate.remote.promotion_values import digest, moment, number, text, text_or_none, who
from tidegate.remote.transport import MANAGE_API

if TYPE_CHECKING:
    from tidegate.remote.api import Api

MAX_SENTENCES = 1000  # of a list inside of an answer


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a policy. `text`: None in lists. `etag`: names it in `If-Match`. `document`: the answer."""

    name: str
    number: int
    digest: Digest
    author: str
    reason: str
    reverts: int | None
    applied_at: datetime
    text: str | None
    open_proposals: tuple[str, ...]
    etag: str | None
    document: JsonObject = field(repr=False)

    @classmethod
    def parse(cls, document: JsonObject, etag: str | None = None) -> Version:
        """Read an answer, or an entry of a list. Raises Unreachable, also where the text is not that of the digest."""
        found = document.get("text")
        if isinstance(found, str) and Digest.of(found.encode()) != digest(document, "digest"):
            raise unintelligible("the text of the policy is not the one of its digest", document.get("digest"))
        return cls(
            name=text(document, "name"),
            number=number(document, "number"),
            digest=digest(document, "digest"),
            author=who(document.get("author")),
            reason=text(document, "reason"),
            reverts=number(document, "reverts") if document.get("reverts") is not None else None,
            applied_at=moment(document, "appliedAt"),
            text=found if isinstance(found, str) else None,
            open_proposals=_sentences(document, "openProposals"),
            etag=etag,
            document=document,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed text, and how it stands. `text`: where it was asked for alone. `missing`: codes and messages."""

    id: str
    policy: str
    base: int
    author: str
    reason: str
    state: str
    applied: int | None
    needed: int | None
    agreed: tuple[str, ...]
    missing: tuple[str, ...]
    text: str | None
    document: JsonObject = field(repr=False)

    @classmethod
    def parse(cls, document: JsonObject) -> Proposal:
        """Read an answer. Raises Unreachable."""
        found = document.get("text")
        if isinstance(found, str) and Digest.of(found.encode()) != digest(document, "digest"):
            raise unintelligible("the text of the proposal is not the one of its digest", document.get("digest"))
        listed = document.get("missing")
        reasons = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        return cls(
            id=text(document, "id"),
            policy=text(document, "policy"),
            base=number(document, "base"),
            author=who(document.get("author")),
            reason=text(document, "reason"),
            state=text(document, "state"),
            applied=number(document, "applied") if document.get("applied") is not None else None,
            needed=number(document, "needed") if document.get("needed") is not None else None,
            agreed=_sentences(document, "agreed"),
            missing=tuple(
                ": ".join(filter(None, (text(each, "message"), text_or_none(each, "found"))))
                for each in reasons[:MAX_SENTENCES]
            ),
            text=found if isinstance(found, str) else None,
            document=document,
        )


class Policies:
    """Asks one registry. `name`: `_company`, or a namespace. Raises what refusals stand for, Unreachable."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def in_force(self, name: str = COMPANY) -> Version:
        """Ask for what is in force under a name."""
        found = self._api.fetch(path("policies", name), what=f"show the policy {name}")
        return Version.parse(found.body, found.etag)

    def all_in_force(self) -> Iterator[Version]:
        """List what is in force, without texts."""
        return (Version.parse(item) for item in self._api.items("/policies", what="list the policies"))

    def version(self, name: str, number_: int) -> Version:
        """Ask for one version."""
        target = path("policies", name, "versions", str(number_))
        found = self._api.fetch(target, what=f"show version {number_} of the policy {name}")
        return Version.parse(found.body, found.etag)

    def versions(self, name: str) -> Iterator[Version]:
        """List all versions, the latest first, without texts."""
        target = path("policies", name, "versions")
        return (Version.parse(item) for item in self._api.items(target, what=f"list the versions of {name}"))

    def proposals(self, name: str) -> Iterator[Proposal]:
        """List the proposals for a policy, the latest first, without texts."""
        target = path("policies", name, "proposals")
        return (Proposal.parse(item) for item in self._api.items(target, what=f"list the proposals for {name}"))

    def proposal(self, name: str, id_: str) -> Proposal:
        """Ask how a proposal stands."""
        return Proposal.parse(self._api.get(path("policies", name, "proposals", id_), what="show the proposal"))

    def propose(self, name: str, document: str, reason: str, base: Version | None) -> Proposal:
        """Propose a text as the version after `base`; None: as the first one of a namespace."""
        return self._change(name, "proposals", {"document": document, "reason": reason}, base, "propose the policy")

    def revert(self, name: str, number_: int, reason: str, base: Version) -> Proposal:
        """Propose the text of an older version."""
        return self._change(name, "reverts", {"number": number_, "reason": reason}, base, "go back to the version")

    def approve(self, name: str, id_: str) -> Proposal:
        """Agree to a proposal."""
        return self._send(path("policies", name, "proposals", id_, "approvals"), {}, "take the agreement")

    def apply(self, name: str, id_: str) -> Proposal:
        """Put a proposal in force that lacks nothing."""
        return self._send(path("policies", name, "proposals", id_, "application"), {}, "apply the proposal")

    def what_if(self, name: str, document: str, decisions: int) -> JsonObject:
        """Ask what a text would change."""
        return self._api.send(
            "POST",
            path("policies", name, "what-if"),
            {"document": document, "decisions": decisions},
            what="say what the policy would change",
            scopes=MANAGE_API,
        )

    def _change(self, name: str, verb: str, document: JsonObject, base: Version | None, what: str) -> Proposal:
        unconditional = {"If-None-Match": "*"}
        headers = unconditional if base is None else {"If-Match": base.etag or ""}
        return self._send(path("policies", name, verb), document, what, headers)

    def _send(self, target: str, document: JsonObject, what: str, headers: dict[str, str] | None = None) -> Proposal:
        return Proposal.parse(
            self._api.send("POST", target, document, what=what, scopes=MANAGE_API, headers=headers or {})
        )


def _sentences(document: JsonObject, key: str) -> tuple[str, ...]:
    value = document.get(key)
    return (
        tuple(clean_text(each) for each in value[:MAX_SENTENCES] if isinstance(each, str))
        if isinstance(value, list)
        else ()
    )
