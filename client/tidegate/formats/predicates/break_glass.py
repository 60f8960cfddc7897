"""Breaking the glass: a signed move of a channel against its policy. Spec page: docs/spec/break-glass.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.members import Members


@dataclass(frozen=True, slots=True)
class BreakGlassPredicate:
    """What somebody moves on their own word, and why: one release, one channel, one sequence, until `expires_at`."""

    agent: str
    version: str
    digest: Digest
    channel: str
    sequence: int
    action: Action
    reason: str
    expires_at: datetime

    @classmethod
    def parse(cls, predicate: JsonObject) -> BreakGlassPredicate:
        """Read the predicate; unknown members are refused. Raises StatementInvalid (code "break-glass-malformed")."""
        members = Members(predicate, "break-glass-malformed", "the break-glass statement cannot be read").closed(
            "agent", "version", "digest", "channel", "sequence", "action", "reason", "expiresAt"
        )
        return cls(
            agent=members.agent(),
            version=members.version(),
            digest=members.digest("digest"),
            channel=members.channel(),
            sequence=members.count("sequence", least=1),
            action=Action(members.choice("action", tuple(Action))),
            reason=members.text("reason"),
            expires_at=members.moment("expiresAt"),
        )

    def as_json(self) -> JsonObject:
        """Give every member."""
        return {
            "agent": self.agent,
            "version": self.version,
            "digest": str(self.digest),
            "channel": self.channel,
            "sequence": self.sequence,
            "action": self.action.value,
            "reason": self.reason,
            "expiresAt": moment_text(self.expires_at),
        }

    def view(self) -> JsonObject:
        """Give what policies and decision records read: every member; `parse` reads it back."""
        return self.as_json()
