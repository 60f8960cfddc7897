"""What a promotion is decided on: plain values, gathered before, written into the decision's record after.

Nothing here is believed by itself: whoever gathers it has verified every signature (`tidegate.verify`) and read every
claim from a checked token. Spec page: docs/spec/decision.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.digest import Digest
from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.approval import Action
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.requirements import Change


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody as a checked token or certificate describes them: all that a role or a person can be bound to.

    `kind`: "human" for somebody who logged in, "ci" for a pipeline. `claims`: every claim by name, each a list of
    texts; `identity` is repeated there under its own name.
    """

    kind: str
    issuer: str
    identity: str
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def values(self, claim: str) -> tuple[str, ...]:
        """Give the values of one claim; `identity` is one too."""
        return (self.identity,) if claim == "identity" else self.claims.get(claim, ())


@dataclass(frozen=True, slots=True)
class Attested:
    """One verified attestation about a manifest, as far as a decision looks at it.

    `signers`: the names of the charter's rules that match it. `view`: what of its predicate conditions and requirements
    may read, bounded, with every rate computed anew; None where the predicate is too large to be read.
    `signed_at` and `log_index` say which is the latest.
    """

    predicate_type: str
    root: str
    issuer: str
    identity: str
    signers: tuple[str, ...]
    signed_at: datetime
    log_index: int
    payload_digest: Digest
    bundle_digest: Digest
    view: JsonObject | None
    claims: Mapping[str, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[datetime, int, str]:
        """What "the latest" means: verified signing time, then place in the log; the digest makes it total."""
        return self.signed_at, self.log_index, self.payload_digest


@dataclass(frozen=True, slots=True)
class Approval:
    """A signed approval or review by somebody of the charter, and what is known of who they are.

    `attested.view` is the predicate. `person`: as the charter calls the human. `filed_by`: the token it was filed with;
    None for one that nobody filed here (it came as evidence alone). `known_as`: the same person by their latest token:
    whoever has lost a role since loses it here.
    """

    attested: Attested
    person: str
    filed_by: Caller | None
    known_as: Caller | None


@dataclass(frozen=True, slots=True)
class Release:
    """A release, as the registry admitted it.

    `author`: whose publish token it was; None where that was not kept. `channels`: what its publishers' release
    statements list. `revoked`: why it was withdrawn.
    """

    version: str
    digest: Digest
    author: Caller | None
    admitted_at: datetime
    facts: ReleaseFacts | None
    channels: tuple[str, ...] = ()
    opaque: bool = False
    revoked: str | None = None


@dataclass(frozen=True, slots=True)
class Tenure:
    """A time in which the release was what a channel served; `until` is None while it still is."""

    channel: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """How the release differs from what the channel serves. `unknown`: why that cannot be said (an opaque bundle)."""

    changes: frozenset[Change] = frozenset()
    details: JsonObject = field(default_factory=dict)
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """The channel as it is. `serving`: what it serves, with the evidence about it; None: nothing yet.

    `sequence`: of the last promotion that was asked for. `hold`: why this release may not move in by itself. `debts`:
    uses of break-glass for this agent whose review is overdue, each in words. `window`: the digests it served before
    what it serves now, latest first, at least as many as the charter's rollback window has. `left`: digests that were
    left by rollback.
    """

    name: str
    serving: Release | None = None
    serving_evidence: tuple[Attested, ...] = ()
    sequence: int = 0
    hold: str | None = None
    debts: tuple[str, ...] = ()
    window: tuple[Digest, ...] = ()
    left: frozenset[Digest] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, by whom, since when. `glass`: a break-glass statement that was verified, its person in it.

    `source`: None where the transition comes from no channel, and for a rollback.
    """

    id: str
    action: Action
    agent: str
    source: str | None
    channel: str
    sequence: int
    requester: Caller
    opened_at: datetime
    reason: str | None = None
    glass: Approval | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a decision rests on besides the policy and the clock.

    `tenures`: of this release, in any channel. `tasks`: how many it served in the source channel; None: nobody
    reports yet. `difference`: against what the channel serves; None where it serves nothing.
    """

    request: Request
    release: Release
    channel: Channel
    charter: Charter | None
    attestations: tuple[Attested, ...] = ()
    approvals: tuple[Approval, ...] = ()
    difference: Difference | None = None
    tenures: tuple[Tenure, ...] = ()
    tasks: int | None = None
    roots: tuple[tuple[str, Digest], ...] = ()
