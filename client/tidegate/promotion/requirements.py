"""What the policy asks, judged on this machine with what it verified itself; the registry's word is compared with it.

The engine is the registry's. Of its findings only those are kept whose inputs were all verified here: what hosts,
clocks and tokens told the registry cannot be seen from here, and is left to it by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tidegate.bundle.diff.judged import difference_of
from tidegate.errors import Reason
from tidegate.formats.predicates.approval import Action
from tidegate.policy.attested import attested_of
from tidegate.policy.decide import decide
from tidegate.policy.inputs import Attested, Caller, Channel, Inputs, Release, Request
from tidegate.policy.judge.matter import RULE
from tidegate.policy.verdict import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.bundle.diff.model import BundleDiff
    from tidegate.formats.charter import Charter
    from tidegate.policy.load import LoadedPolicy
    from tidegate.releases.verify import Verified
    from tidegate.remote.promotion_values import Promotion

SEEN_HERE: Final = frozenset({"attestation", "sbom", "vulnerabilities", "provenance", "testResult"})
"""Kinds of requirements that verified evidence, the policy's text and the clock decide alone."""

REVIEW: Final = "review"
"""Of this kind what flipped is seen here."""

RULE_SEEN_HERE: Final = frozenset({"transition", "charter", "publisher", "freeze", "floor"})
"""Findings about the rule itself of which the same is true."""


@dataclass(frozen=True, slots=True)
class Here:
    """All that this machine has verified of a request. `serving`, `compared`: None while the channel serves nothing."""

    policy: LoadedPolicy
    charter: Charter
    request: Promotion
    release: Verified
    serving: Verified | None
    compared: BundleDiff | None

    def findings(self, now: datetime) -> tuple[Finding, ...]:
        """Judge what the policy asks at `now`, as far as this machine can see; the rest is named, and inconclusive."""
        # what a channel served before excuses a rollback from the floor, and only the registry knows that
        hidden = frozenset({"floor"}) if self.request.action is Action.ROLLBACK else frozenset()
        return tuple(_kept(decide(self.policy, self._inputs(now), now).findings, hidden))

    def _inputs(self, now: datetime) -> Inputs:
        request, serving, difference = self.request, self.serving, None
        if serving is not None and self.compared is not None:
            difference = difference_of(self.compared, serving.release.facts, self.release.release.facts)
        return Inputs(
            request=Request(
                id=request.id,
                action=request.action,
                agent=request.agent,
                source=request.source,
                channel=request.channel,
                sequence=request.sequence,
                requester=Caller("", "", request.requester),
                opened_at=request.opened_at,
            ),
            release=_release(self.release, now),
            channel=Channel(
                name=request.channel,
                serving=_release(serving, now) if serving is not None else None,
                serving_evidence=_attested(serving) if serving is not None else (),
                sequence=request.sequence,
            ),
            charter=self.charter,
            attestations=_attested(self.release),
            difference=difference,
        )


def claimed_too_much(request: Promotion, found: Iterable[Finding]) -> list[Reason]:
    """Say which requirements the registry calls passed that are not, by what is verified here; pure.

    `found`: judged as of the registry's last decision. What it calls missing and is not is no lie that harms.
    """
    said = {(finding.kind, finding.id): finding for finding in request.findings}
    reasons = []
    for finding in found:
        claim = said.get((finding.kind, finding.id))
        if claim is None or not claim.state.passes or finding.state.passes or not _is_seen(finding):
            continue
        reasons.append(
            Reason(
                "approval-mismatch",
                f"the registry says that `{finding.id}` is {claim.state.value}, and here it is {finding.state.value}",
                f"{claim.message}{f' ({claim.found})' if claim.found else ''}",
                f"{finding.message}{f' ({finding.found})' if finding.found else ''}",
            )
        )
    return reasons


def _is_seen(finding: Finding) -> bool:
    """Whether nothing but verified evidence, the policy's text and the clock made it."""
    return finding.kind in SEEN_HERE or (finding.kind == RULE and finding.id in RULE_SEEN_HERE)


def _kept(findings: Iterable[Finding], hidden: frozenset[str]) -> Iterable[Finding]:
    for finding in findings:
        if finding.kind == RULE and finding.id in hidden:
            continue
        if _is_seen(finding) or finding.state is State.NOT_APPLICABLE:
            yield finding
        elif finding.kind == REVIEW and (finding.state is not State.UNMET or "flipped" in finding.measured):
            yield _flips(finding)
        elif finding.kind != RULE:
            left = f"`{finding.kind}` is left to the registry: this machine cannot see it"
            yield replace(
                finding, state=State.INCONCLUSIVE, message=left, found=None, expected=None, hint=None, who_can=()
            )


def _flips(finding: Finding) -> Finding:
    """Tell which cases flipped, which verified evidence says; who reviewed them is the registry's to know."""
    if finding.state is not State.UNMET:
        return finding
    told = f"{finding.message.partition(',')[0]}; whether somebody reviewed them is left to the registry"
    return replace(finding, state=State.INCONCLUSIVE, message=told, hint=None, who_can=())


def _release(release: Verified, now: datetime) -> Release:
    """Describe a release that was verified here; who published it by which token only the registry knows."""
    found = release.release
    return Release(
        version=found.version,
        digest=found.digest,
        author=None,
        admitted_at=now,
        facts=found.facts,
        channels=found.allowed.channels,
        opaque=found.config is None,
    )


def _attested(release: Verified) -> tuple[Attested, ...]:
    return tuple(attested_of(each) for each in release.release.attestations)
