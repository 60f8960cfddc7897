"""The approval: a person's or machine's signed yes to one move of one release. Spec page: docs/spec/approval.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.members import Members

MAX_APPROVAL_LIFE: Final = timedelta(days=90)  # a charter's own longest validity; it may be given again
LIFE_SLACK: Final = timedelta(hours=1)  # for the signer's clock, and a certificate that is older than the signature
DEFAULT_APPROVAL_LIFE: Final = MAX_APPROVAL_LIFE
MAX_EVIDENCE: Final = 1_000  # as many referrers as the verifier looks at: docs/spec/verification.md, V2
MAX_CHANGES: Final = 200  # kinds of change; docs/spec/diff.md has fewer
STEPS: Final = ("none", "patch", "minor", "major")


class Action(StrEnum):
    """What moves a channel."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Difference:
    """What the approver's machine found by comparing with what the channel serves.

    `against`: digest of that release's manifest. `step`: the version step the changes demand. `changes`: their kinds,
    distinct and sorted. Steps and kinds: docs/spec/diff.md.
    """

    against: Digest
    step: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Computed:
    """What the approver's own machine found, with the approver's own trust file; nothing of it is a registry's word.

    `evidence`: digests of the signed payloads of the statements that passed the verifier. `difference`: None when the
    channel serves nothing.
    """

    evidence: tuple[Digest, ...] = ()
    difference: Difference | None = None

    @classmethod
    def parse(cls, members: Members) -> Computed:
        """Read the object. Raises StatementInvalid."""
        members.closed("evidence", "difference")
        difference = None
        if members.has("difference"):
            inside = members.object("difference").closed("against", "step", "changes")
            difference = Difference(
                inside.digest("against"), inside.choice("step", STEPS), inside.texts("changes", MAX_CHANGES)
            )
        return cls(members.digests("evidence", MAX_EVIDENCE), difference)

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {"evidence": [str(digest) for digest in self.evidence]}
        if self.difference is not None:
            result["difference"] = {
                "against": str(self.difference.against),
                "step": self.difference.step,
                "changes": list(self.difference.changes),
            }
        return result


@dataclass(frozen=True, slots=True)
class ApprovalPredicate:
    """The approval of one request: it counts for nothing else, and for nothing after `expires_at`.

    `sequence`: the promotion sequence that the request was given. `rule`: digest of the resolved transition rule it was
    given under. `not_full_before`: when the release may serve everybody at the earliest, from the rollout's holds.
    Times are aware; when it was approved is what the certificate says, so no member does.
    """

    agent: str
    version: str
    digest: Digest
    channel: str
    sequence: int
    action: Action
    rule: Digest
    not_full_before: datetime
    expires_at: datetime
    reason: str | None = None
    computed: Computed = Computed()

    @classmethod
    def parse(cls, predicate: JsonObject) -> ApprovalPredicate:
        """Read the predicate; unknown members are refused. Raises StatementInvalid (code "approval-malformed")."""
        members = Members(predicate, "approval-malformed", "the approval cannot be read").closed(
            "agent",
            "version",
            "digest",
            "channel",
            "sequence",
            "action",
            "rule",
            "notFullBefore",
            "expiresAt",
            "reason",
            "computed",
        )
        return cls(
            agent=members.agent(),
            version=members.version(),
            digest=members.digest("digest"),
            channel=members.channel(),
            sequence=members.count("sequence", least=1),
            action=Action(members.choice("action", tuple(Action))),
            rule=members.digest("rule"),
            not_full_before=members.moment("notFullBefore"),
            expires_at=members.moment("expiresAt"),
            reason=members.text("reason") if members.has("reason") else None,
            computed=Computed.parse(members.object("computed")),
        )

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {
            "agent": self.agent,
            "version": self.version,
            "digest": str(self.digest),
            "channel": self.channel,
            "sequence": self.sequence,
            "action": self.action.value,
            "rule": str(self.rule),
            "notFullBefore": moment_text(self.not_full_before),
            "expiresAt": moment_text(self.expires_at),
            "computed": self.computed.as_json(),
        }
        if self.reason is not None:
            result["reason"] = self.reason
        return result

    def view(self) -> JsonObject:
        """Give what policies and decision records read: every member; `parse` reads it back."""
        return self.as_json()
