"""What an approver's own machine finds out about a request, before anybody signs.

A registry says what is asked for, keeps the bytes and serves the policy's text. Everything that is shown and signed is
computed here: the release and its evidence are verified with the approver's own trust file, the difference is compared
from verified bytes, the rule's digest comes from the policy's text. Source: docs/spec/approval.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tidegate.bundle.diff.compare import diff
from tidegate.bundle.diff.model import BundleDiff
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, Reason, SigningRefused
from tidegate.formats.charter import Charter
from tidegate.formats.predicates.approval import Computed, Difference
from tidegate.formats.reference import Reference
from tidegate.policy.decide import rule_for
from tidegate.policy.load import Rule
from tidegate.policy.rollout import not_full_before
from tidegate.promotion.policy import PolicyInForce, fetch_policy
from tidegate.promotion.requirements import Here, claimed_too_much
from tidegate.releases.sides import side_of
from tidegate.releases.verify import Verified, check_release
from tidegate.remote.promotion_values import Promotion, RequestState, Served
from tidegate.remote.promotions import Promotions
from tidegate.remote.source import RegistrySource
from tidegate.verify.release import verify_release

if TYPE_CHECKING:
    from tidegate.bundle.diff.model import Side
    from tidegate.policy.verdict import Finding
    from tidegate.remote.registry import Registry
    from tidegate.verify.trust import Trust

MAX_SKEW = timedelta(minutes=5)  # how far ahead of ours a registry's clock may be, as that of a certificate authority


class ApprovalRefused(SigningRefused):
    """An approval is not signed: the registry says something else than this machine finds."""

    code = "approval-mismatch"


def charter_of(trust: Trust, agent: str) -> Charter:
    """Give the agent's charter. Raises ApprovalRefused (code "approval-no-charter")."""
    charter = trust.charters.for_agent(agent)
    if charter is None:
        raise ApprovalRefused(
            f"your trust file has no charter for {agent}",
            code="approval-no-charter",
            hint="sign only for what you can verify: add the agent's charter to your trust file",
        )
    return charter


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where somebody approves: a registry that is not believed, their own trust file, and their clock."""

    registry: Registry
    trust: Trust
    clock: Callable[[], datetime]

    @property
    def promotions(self) -> Promotions:
        """What can be asked about promotions."""
        return Promotions(self.registry.api)

    def charter(self, agent: str) -> Charter:
        """Give the agent's charter. Raises ApprovalRefused (code "approval-no-charter")."""
        return charter_of(self.trust, agent)

    def verify(self, agent: str, version: str, digest: Digest | None) -> tuple[Verified, Side]:
        """Fetch a manifest, by digest where one is given, and verify that it is that release. Raises BundleRefused."""
        source = RegistrySource(self.registry, agent, digest)
        manifest = source.root(version)
        wanted = Reference(agent, version=version, digest=digest)
        release = check_release(source, manifest, wanted, trust=self.trust, now=self.clock())
        return Verified(release, self.registry.address.host), side_of(source, manifest, agent, version)

    def verify_served(self, agent: str, served: Served) -> tuple[Verified, Side]:
        """The same for what a channel serves; weights are compared by digest and not read. Raises BundleRefused."""
        source = RegistrySource(self.registry, agent, served.digest)
        manifest = source.root(served.version)
        try:
            release = verify_release(
                source,
                manifest,
                agent=agent,
                version=served.version,
                digest=served.digest,
                trust=self.trust,
                now=self.clock(),
            )
        except BundleRefused as error:
            raise BundleRefused.because(
                f"what the channel is said to serve does not verify, so nothing can be compared with it: {error}",
                error.reasons,
            ) from error
        return Verified(release, self.registry.address.host), side_of(source, manifest, agent, served.version)


@dataclass(frozen=True, slots=True)
class Examined:
    """A request, with what this machine found about it. Nothing but `request` is the registry's word.

    `serving`, `diff`: None while the channel serves nothing. `not_full_before`: from the rule's rollout, as if it
    began now. `findings`: what the policy asks, judged here; what this machine cannot see is inconclusive.
    """

    request: Promotion
    charter: Charter
    release: Verified
    serving: Verified | None
    diff: BundleDiff | None
    policy: PolicyInForce
    rule: Rule
    not_full_before: datetime
    findings: tuple[Finding, ...]

    @property
    def computed(self) -> Computed:
        """What the statement says was found out here."""
        evidence = tuple(sorted({each.payload_digest for each in self.release.release.attestations}))
        if self.diff is None:
            return Computed(evidence)
        kinds = tuple(sorted({change.kind for change in self.diff.changes}))
        return Computed(evidence, Difference(self.diff.before.digest, self.diff.demanded.value, kinds))


def examine(place: Workplace, request: Promotion) -> Examined:
    """Fetch, verify and compute everything that an approval of `request` rests on.

    Raises BundleRefused when the release, or what the channel serves, is not what it should be; ApprovalRefused with
    everything in which the registry's word differs; PolicyInvalid, NotFound, Unreachable.
    """
    charter, now = place.charter(request.agent), place.clock()
    release, after = place.verify(request.agent, request.version, request.digest)
    served = place.promotions.channel(request.agent, request.channel).serving
    serving, compared = None, None
    if served is not None:
        serving, before = place.verify_served(request.agent, served)
        compared = diff(before, after)
    policy = fetch_policy(place.registry.api, request.agent)
    rule = rule_for(policy.loaded, request.action, request.agent, request.source, request.channel)
    if rule is None:
        raise ApprovalRefused(
            "the policy that the registry serves has no such transition",
            found=f"{request.source or 'nowhere'} → {request.channel} for {request.agent}",
            expected="a transition of the policy in force",
        )
    here = Here(policy.loaded, charter, request, release, serving, compared)
    found = Examined(
        request=request,
        charter=charter,
        release=release,
        serving=serving,
        diff=compared,
        policy=policy,
        rule=rule,
        not_full_before=not_full_before(rule.rollout, now),
        findings=here.findings(now),
    )
    reasons = [*differences(found, served, now), *claimed_too_much(request, here.findings(request.decided_at or now))]
    if reasons:
        raise ApprovalRefused.because(f"the request {request.id} is not approved: the registry says otherwise", reasons)
    return found


def differences(found: Examined, served: Served | None, now: datetime) -> list[Reason]:
    """Say in what the registry's word about the request differs from what was found here; pure."""
    request = found.request
    claimed: list[tuple[str, object, object]] = []
    if request.state is not RequestState.OPEN:
        claimed.append(("the request is over", request.state.value, "open"))
    if request.rule is not None and request.rule != found.rule.digest:
        claimed.append(("the rule is another one than the policy's text gives", request.rule, found.rule.digest))
    for what, moment in (("opened", request.opened_at), ("decided", request.decided_at or now)):
        if moment > now + MAX_SKEW:
            claimed.append((f"the request was {what} in the future", moment.isoformat(), now.isoformat()))
    expected = not_full_before(found.rule.rollout, request.opened_at)
    if request.not_full_before is not None and request.not_full_before != expected:
        claimed.append(
            ("it may serve everybody at another time", request.not_full_before.isoformat(), expected.isoformat())
        )
    if served is not None and request.sequence <= served.sequence:
        expected_text = f"above {served.sequence}, by which the channel serves {served.version}"
        claimed.append(("the request's sequence has passed", request.sequence, expected_text))
    return [Reason("approval-mismatch", message, str(said), str(computed)) for message, said, computed in claimed]
