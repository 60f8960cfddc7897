"""A promotion that is allowed, and ways to say what is different about one: plain values only.

acme/triage 1.4.0 goes from staging to stable. alice published it, dave asks, bob and carol may approve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.client.policy.documents import loaded
from tidegate.digest import Digest
from tidegate.formats.charter import Charter
from tidegate.formats.classes import RefClass, RunnerClass
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.evaluation import EvaluationPredicate
from tidegate.formats.predicates.types import (
    PREDICATE_APPROVAL,
    PREDICATE_BREAK_GLASS,
    PREDICATE_CYCLONEDX,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_TEST_RESULT,
    PREDICATE_VULNERABILITIES,
)
from tidegate.formats.predicates.vulnerabilities import VulnerabilitiesPredicate
from tidegate.policy.decide import decide, rule_for
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.inputs import Approval, Attested, Caller, Channel, Inputs, Release, Request, Tenure
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.verdict import Allowed, Finding, Refused, State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
IDP, FORGE, ROOT = "https://idp.example", "https://forge.example", "sigstore"
RELEASES, EVALS, SCANS = (f"{FORGE}/acme/{name}/run.yml" for name in ("triage", "evals", "scans"))
BUILDER = f"{FORGE}/builders/agent/build.yml"
AGENT, VERSION, SERVING = "acme/triage", "1.4.0", "1.3.0"
DIGEST, SERVED = Digest.of(b"1.4.0"), Digest.of(b"1.3.0")

POLICY: dict[str, Any] = {
    "format": "tidegate/policy/v1",
    "persons": {
        "alice": [
            {"issuer": IDP, "identity": "alice@acme.example"},
            {"issuer": FORGE, "claims": {"actor": "alice-gh"}},
        ],
        "bob": [{"issuer": IDP, "identity": "bob@acme.example"}],
        "carol": [{"issuer": IDP, "identity": "carol@acme.example"}],
        "dave": [{"issuer": IDP, "identity": "dave@acme.example"}],
    },
    "roles": {
        "reviewer": [{"issuer": IDP, "claims": {"groups": "reviewers"}}],
        "release-manager": [{"issuer": IDP, "claims": {"groups": "managers"}}],
        "on-call": [{"issuer": IDP, "claims": {"groups": "on-call"}}],
    },
    "signers": {
        "evals": {"root": ROOT, "issuer": FORGE, "workflow": EVALS, "refs": ["refs/heads/main"]},
        "scans": {"root": ROOT, "issuer": FORGE, "workflow": SCANS, "refs": ["refs/heads/main"]},
        "releases": {"root": ROOT, "issuer": FORGE, "workflow": RELEASES, "refs": ["refs/tags/*"]},
    },
    "channels": ["dev", "staging", "stable"],
    "transitions": [
        {"to": "dev", "allow": ["release-manager"]},
        {"from": "dev", "to": "staging", "allow": ["release-manager"]},
        {"from": "staging", "to": "stable", "allow": ["release-manager"]},
    ],
    "breakGlass": {
        "allow": ["on-call"],
        "channels": ["stable"],
        "expiresAfter": "4h",
        "review": {"within": "24h", "allow": ["reviewer"]},
    },
    "editors": {"allow": ["release-manager"]},
}


def policy(*require: JsonObject, **members: Any) -> LoadedPolicy:
    """Give the policy with requirements on the way to stable, and other members."""
    *others, stable = POLICY["transitions"]
    return loaded({**POLICY, "transitions": [*others, {**stable, "require": list(require)}], **members})


def charter(**members: Any) -> Charter:
    """Give the agent's charter: one approval for stable, two approvers, a builder of level 3."""
    person = {"root": ROOT, "issuer": IDP}
    document = {
        "agent": "acme/*",
        "publishers": [
            {"name": "release", "root": ROOT, "issuer": FORGE, "workflow": RELEASES, "refs": ["refs/tags/*"]}
        ],
        "attesters": [
            {
                "name": name,
                "root": ROOT,
                "issuer": FORGE,
                "workflow": workflow,
                "refs": ["refs/heads/*"],
                "types": [PREDICATE_EVALUATION, PREDICATE_VULNERABILITIES, PREDICATE_TEST_RESULT],
            }
            for name, workflow in (("evals", EVALS), ("scans", SCANS))
        ],
        "approvers": [{"name": name, "identity": f"{name}@acme.example", **person} for name in ("bob", "carol")],
        "breakGlass": [{"name": "erin", "identity": "erin@acme.example", **person}],
        "approvals": {"dev": 0, "staging": 0, "stable": 1},
        "builders": {f"{BUILDER}@refs/tags/*": 3},
        **members,
    }
    return Charter.model_validate(document)


def human(name: str, *groups: str) -> Caller:
    """Give somebody who logged in."""
    return Caller("human", IDP, f"{name}@acme.example", {"groups": groups})


def pipeline(workflow: str, actor: str) -> Caller:
    """Give a run of a workflow, and who set it off."""
    return Caller("ci", FORGE, f"{workflow}@refs/heads/main", {"actor": (actor,)})


FACTS = ReleaseFacts(
    ROOT, FORGE, RELEASES, "refs/tags/v1.4.0", "c" * 40, RefClass.OTHER, RunnerClass.HOSTED, builder_level=3
)


def attested(
    predicate_type: str,
    view: JsonObject | None,
    *,
    signer: str = "evals",
    age: timedelta = timedelta(hours=1),
    **members: Any,
) -> Attested:
    """Give an attestation by a workflow of the charter, as old as `age`."""
    workflow, ref = {
        "evals": (EVALS, "refs/heads/main"),
        "scans": (SCANS, "refs/heads/main"),
        "release": (RELEASES, "refs/tags/v1.4.0"),
    }[signer]
    found = Attested(
        predicate_type=predicate_type,
        root=ROOT,
        issuer=FORGE,
        identity=f"{workflow}@{ref}",
        signers=(signer,),
        signed_at=NOW - age,
        log_index=1,
        payload_digest=Digest.of(canonical_bytes([predicate_type, view, signer, age.total_seconds()])),
        bundle_digest=Digest.of(b"bundle"),
        view=view,
        claims={"sourceRepositoryRef": ref},
    )
    return replace(found, **members)


def evaluation(outcomes: dict[str, int], *, repeats: int = 1, **members: Any) -> Attested:
    """Give an evaluation with so many passed runs by case."""
    some = Digest.of(b"some")
    predicate = EvaluationPredicate("regression", dataset=some, harness=some, repeats=repeats, outcomes=outcomes)
    return attested(PREDICATE_EVALUATION, predicate.view(), **members)


def scan(*findings: tuple[str, str], finished: timedelta = timedelta(hours=1), **members: Any) -> Attested:
    """Give a vulnerability scan with findings as (id, severity)."""
    result: list[JsonValue] = [
        {"id": name, "severity": [{"method": "nvd", "score": severity}]} for name, severity in findings
    ]
    document: JsonObject = {
        "scanner": {"uri": "https://scanner.example", "result": result},
        "metadata": {"scanFinishedOn": moment_text(NOW - finished)},
    }
    return attested(
        PREDICATE_VULNERABILITIES, VulnerabilitiesPredicate.parse(document).view(), signer="scans", **members
    )


def provenance(builder: str = f"{BUILDER}@refs/tags/v1", **members: Any) -> Attested:
    """Give a provenance by a builder."""
    claims = {
        "sourceRepositoryRef": "refs/tags/v1.4.0",
        "buildSignerURI": builder,
        "sourceRepositoryURI": f"{FORGE}/acme/triage",
    }
    return attested(PREDICATE_SLSA_PROVENANCE, {}, signer="release", claims=claims, **members)


def bill(**members: Any) -> Attested:
    """Give a CycloneDX bill of materials by the publisher."""
    view: JsonObject = {"format": "cyclonedx", "specVersion": "1.6", "components": 12}
    return attested(PREDICATE_CYCLONEDX, view, signer="release", **members)


RELEASED = attested(PREDICATE_RELEASE, {}, signer="release", age=timedelta(days=3))


@dataclass
class Case:
    """One promotion, by default one that is allowed. Change what a test is about, then ask for the verdict."""

    policy: LoadedPolicy = field(default_factory=policy, repr=False)  # hypothesis shows a case that fails
    now: datetime = NOW
    inputs: Inputs = field(
        default_factory=lambda: Inputs(
            request=Request(
                id="0197",
                action=Action.PROMOTE,
                agent=AGENT,
                source="staging",
                channel="stable",
                sequence=7,
                requester=human("dave", "managers"),
                opened_at=NOW - timedelta(hours=2),
            ),
            release=Release(
                version=VERSION,
                digest=DIGEST,
                author=pipeline(RELEASES, "alice-gh"),
                admitted_at=NOW - timedelta(days=3),
                facts=FACTS,
                channels=("dev", "staging"),
            ),
            channel=Channel(
                name="stable",
                serving=Release(SERVING, SERVED, None, NOW - timedelta(days=30), FACTS),
                sequence=7,
                window=(SERVED,),
            ),
            charter=charter(),
            attestations=(RELEASED,),
            tenures=(Tenure("staging", NOW - timedelta(days=2)),),
        )
    )

    def __post_init__(self) -> None:
        """Let bob approve what needs one approval."""
        self.approve(self.approval("bob"))

    def request(self, **members: Any) -> None:
        """Change the request."""
        self.inputs = replace(self.inputs, request=replace(self.inputs.request, **members))

    def release(self, **members: Any) -> None:
        """Change the release."""
        self.inputs = replace(self.inputs, release=replace(self.inputs.release, **members))

    def channel(self, **members: Any) -> None:
        """Change the channel."""
        self.inputs = replace(self.inputs, channel=replace(self.inputs.channel, **members))

    def given(self, **members: Any) -> None:
        """Change anything else."""
        self.inputs = replace(self.inputs, **members)

    def attach(self, *attestations: Attested) -> None:
        """Add evidence about the release."""
        self.given(attestations=(*self.inputs.attestations, *attestations))

    def approve(self, *approvals: Approval) -> None:
        """Have exactly these approvals."""
        self.given(approvals=tuple(approvals))

    def statement(
        self,
        predicate_type: str,
        view: JsonObject,
        by: str,
        *,
        groups: Iterable[str] = ("reviewers",),
        age: timedelta = timedelta(minutes=30),
        issuer: str = IDP,
        identity: str | None = None,
        person: str | None = None,
    ) -> Approval:
        """Give a statement by somebody of the charter, filed with their own token."""
        who = Caller("human", issuer, identity or f"{by}@acme.example", {"groups": tuple(groups)})
        signed = Attested(
            predicate_type=predicate_type,
            root=ROOT,
            issuer=issuer,
            identity=who.identity,
            signers=(by,),
            signed_at=self.now - age,
            log_index=1,
            payload_digest=Digest.of(canonical_bytes(view)),
            bundle_digest=Digest.of(canonical_bytes([view, by])),
            view=view,
        )
        return Approval(signed, person or by, who, who)

    def approval(self, by: str, *, said: JsonObject | None = None, **members: Any) -> Approval:
        """Give an approval of exactly this request; `said` replaces members of the predicate."""
        request, release = self.inputs.request, self.inputs.release
        rule = rule_for(self.policy, request.action, request.agent, request.source, request.channel)
        view: JsonObject = {
            "agent": request.agent,
            "version": release.version,
            "digest": str(release.digest),
            "channel": request.channel,
            "sequence": request.sequence,
            "action": request.action.value,
            "rule": str(rule.digest) if rule else str(Digest.of(b"no rule")),
            "notFullBefore": moment_text(NOW),
            "expiresAt": moment_text(NOW + timedelta(days=60)),
            "computed": {"evidence": []},
            **(said or {}),
        }
        return self.statement(PREDICATE_APPROVAL, view, by, **members)

    def glass(self, *, said: JsonObject | None = None, **members: Any) -> Approval:
        """Give a break-glass statement by erin, who is on call."""
        request, release = self.inputs.request, self.inputs.release
        view: JsonObject = {
            "agent": request.agent,
            "version": release.version,
            "digest": str(release.digest),
            "channel": request.channel,
            "sequence": request.sequence,
            "action": request.action.value,
            "reason": "tickets pile up",
            "expiresAt": moment_text(NOW + timedelta(hours=2)),
            **(said or {}),
        }
        return self.statement(PREDICATE_BREAK_GLASS, view, "erin", **{"groups": ("on-call",), **members})

    def review(self, by: str, *cases: str, verdict: str = "accepted", **members: Any) -> Approval:
        """Give a review of cases that flipped against what stable serves."""
        request, release = self.inputs.request, self.inputs.release
        view: JsonObject = {
            "agent": request.agent,
            "version": release.version,
            "digest": str(release.digest),
            "verdict": verdict,
            "reason": "the new answers are right",
            "flips": {"suite": "regression", "baseline": str(SERVED), "cases": list(cases)},
        }
        return self.statement(PREDICATE_REVIEW, view, by, **members)

    def verdict(self) -> Allowed | Refused:
        """Decide it."""
        return decide(self.policy, self.inputs, self.now)

    def finding(self, name: str) -> Finding:
        """Decide it, and give one finding."""
        return next(finding for finding in self.verdict().findings if finding.id == name)

    def state(self, name: str) -> State:
        """Decide it, and say how one finding stands."""
        return self.finding(name).state

    def lacks(self) -> list[str]:
        """Decide it, and name what does not pass; nothing if it is allowed."""
        verdict = self.verdict()
        return [finding.id for finding in verdict.missing] if isinstance(verdict, Refused) else []


def case_of(requirement: JsonObject, **members: Any) -> Case:
    """Give the allowed case, with one requirement called `it`."""
    return Case(policy({"id": "it", **requirement}, **members))


def judged(requirement: JsonObject, *evidence: Any, **members: Any) -> Finding:
    """Judge one requirement with evidence about the release."""
    case = case_of(requirement)
    case.attach(*evidence)
    case.given(**members)
    return case.finding("it")
