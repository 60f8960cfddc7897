"""The release statement: a publisher's word that a digest is a version of an agent. Spec page: docs/spec/release.md."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.members import Members

MAX_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class ReleasePredicate:
    """The promise: this digest is this version of this agent. `channels`: where it may go without further approval."""

    agent: str
    version: str
    digest: Digest
    behaviour: Digest | None = None
    channels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, predicate: JsonObject) -> ReleasePredicate:
        """Read the predicate; unknown members are refused, as each would be a promise nobody keeps.

        Raises StatementInvalid (code "release-malformed").
        """
        members = Members(predicate, "release-malformed", "the release statement cannot be read").closed(
            "agent", "version", "digest", "behaviour", "channels"
        )
        return cls(
            agent=members.agent(),
            version=members.version(),
            digest=members.digest("digest"),
            behaviour=members.digest_or_none("behaviour"),
            channels=members.channels("channels", MAX_CHANNELS),
        )

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {"agent": self.agent, "version": self.version, "digest": str(self.digest)}
        if self.behaviour is not None:
            result["behaviour"] = str(self.behaviour)
        if self.channels:
            result["channels"] = list(self.channels)
        return result

    def view(self) -> JsonObject:
        """Give what policies read: every member."""
        return self.as_json() | {"channels": list(self.channels)}
