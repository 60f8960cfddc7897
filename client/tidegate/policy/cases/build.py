"""From a situation to the inputs of a decision: the values that a registry would gather, made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import product

from tidegate.digest import Digest
from tidegate.formats.charter import ApproverRule, Charter, IdentityRule, SignerRule
from tidegate.formats.classes import RefClass, RunnerClass
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.approval import DEFAULT_APPROVAL_LIFE, Action, ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.review import Flips, ReviewPredicate, ReviewVerdict
from tidegate.formats.predicates.types import (
    PREDICATE_APPROVAL,
    PREDICATE_BREAK_GLASS,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_VULNERABILITIES,
    PUBLISHER_TYPES,
    RESERVED_TYPES,
)
from tidegate.policy.cases.model import CaseEvidence, Situation
from tidegate.policy.cases.people import A_REQUESTER, AN_AUTHOR, Cast
from tidegate.policy.decide import rule_for
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.inputs import (
    Approval,
    Attested,
    Caller,
    Channel,
    Difference,
    Inputs,
    Release,
    Request,
    Tenure,
)
from tidegate.policy.load import LoadedPolicy

ROOT = "cases"
FORGE = "https://forge.example"
WORKFLOW = f"{FORGE}/publish.yml"
A_TAG = "refs/tags/v1"
SEQUENCE = 1
SOME_TIME = timedelta(hours=1)
ACCEPTED = "the case says so"
A_SUITE = "suite"  # of evaluations and reviews where a case names none

_Signer = tuple[str, IdentityRule]  # by the name that the policy has for it

_PUBLISHER = IdentityRule(root=ROOT, issuer=FORGE, workflow=WORKFLOW, refs=("refs/tags/*",))


class World:
    """Everything around one situation."""

    def __init__(
        self, policy: LoadedPolicy, cast: Cast, evidence: Mapping[str, CaseEvidence], situation: Situation
    ) -> None:
        self._policy, self._cast, self._evidence, self._situation = policy, cast, evidence, situation
        self._channel = situation.to or ""
        self._digest, self._served = (Digest.of(text.encode()) for text in ("the release", "what is served"))
        self._signers = self._publishers()
        named = {situation.by, situation.author, situation.break_glass, *situation.approvals, *situation.reviews}
        self._people = {name: cast.caller(name) for name in sorted(cast.names) if name in named}
        self._source = self._first_source()
        self._rule = rule_for(policy, situation.action, situation.agent, self._source, self._channel)
        self._requester = self._somebody(situation.by, A_REQUESTER, self._rule.allow[:1] if self._rule else ())
        self._author = None if situation.author is None else self._somebody(situation.author, AN_AUTHOR, ())

    def inputs(self) -> Inputs:
        """Put it all together."""
        it = self._situation
        request = Request(
            id="case",
            action=it.action,
            agent=it.agent,
            source=self._source,
            channel=self._channel,
            sequence=SEQUENCE,
            requester=self._requester,
            opened_at=it.now,
            reason=ACCEPTED,
            glass=self._glass(),
        )
        served = it.served if it.served is not None else ({self._source: SOME_TIME} if self._source else {})
        return Inputs(
            request=request,
            release=Release(
                version=it.version,
                digest=self._digest,
                author=self._author,
                admitted_at=it.now - SOME_TIME,
                facts=self._facts(),
                channels=(self._channel,),
                revoked=it.revoked,
            ),
            channel=Channel(
                name=self._channel,
                serving=self._serving(),
                serving_evidence=tuple(map(self._attested, it.serving.evidence if it.serving else ())),
                sequence=SEQUENCE,
                hold=it.hold,
                debts=it.debts,
            ),
            charter=self._charter(),
            attestations=(*self._own_statements(), *map(self._attested, it.evidence)),
            approvals=(*self._approvals(), *self._reviews()),
            difference=self._difference(),
            tenures=tuple(Tenure(channel, it.now - span) for channel, span in served.items()),
            tasks=it.tasks,
        )

    def _first_source(self) -> str | None:
        it = self._situation
        if it.action is Action.ROLLBACK or it.from_ is not None:
            return it.from_
        return next((rule.source for rule in self._policy.rules_to(it.agent, self._channel)), None)

    def _somebody(self, name: str | None, otherwise: str, roles: Iterable[str]) -> Caller:
        """Give the one whom the case names, or somebody else who plays no other part."""
        if name in self._people:
            return self._people[name]
        return self._people.setdefault(f"some-{otherwise}", self._cast.somebody(f"some-{otherwise}", roles))

    def _publishers(self) -> tuple[_Signer, ...]:
        """Give who signed the release: as the case says, else one that each document allows, else anybody."""
        named = self._situation.published_by
        names = (named,) if named else tuple(min(group) for group in self._policy.publishers(self._situation.agent))
        return tuple((name, self._policy.signers[name]) for name in dict.fromkeys(names)) or (
            ("publisher", _PUBLISHER),
        )

    def _charter(self) -> Charter:
        it = self._situation
        kinds = {PREDICATE_EVALUATION, *(evidence.type for evidence in self._evidence.values())} - RESERVED_TYPES
        kinds = {kind for kind in kinds if kind not in PUBLISHER_TYPES} or {PREDICATE_EVALUATION}
        # the charter knows everybody apart, so that only the policy decides whose word counts
        people = [_approver(name, caller) for name, caller in self._people.items()]
        return Charter(
            agent=it.agent,
            publishers=tuple(_signer(name, rule) for name, rule in self._signers),
            attesters=tuple(
                _signer(name, rule, (*PUBLISHER_TYPES, *sorted(kinds))) for name, rule in self._policy.signers.items()
            ),
            approvers=tuple(people),
            break_glass=tuple(people),
            approvals={self._channel: it.charter_approvals},
            builders={it.build.builder: it.build.level},
        )

    def _facts(self) -> ReleaseFacts:
        rule = self._signers[0][1]
        return ReleaseFacts(
            rule.root, rule.issuer, rule.subject, A_TAG, None, RefClass.OTHER, RunnerClass.HOSTED, self._level
        )

    @property
    def _level(self) -> int:
        return self._situation.build.level

    def _serving(self) -> Release | None:
        it = self._situation
        if it.serving is None:
            return None
        return Release(it.serving.version, self._served, None, it.now - SOME_TIME, self._facts())

    def _difference(self) -> Difference | None:
        changed = self._situation.changed
        if self._situation.serving is None:
            return None
        return Difference(frozenset(changed)) if changed is not None else Difference(unknown="the case says so")

    def _own_statements(self) -> Iterable[Attested]:
        """Give what the publisher signs anyway: the release, and how it was built."""
        for signer in self._signers:
            yield self._signed(PREDICATE_RELEASE, {}, signer, SOME_TIME)
        claims = {"buildSignerURI": self._situation.build.builder, "sourceRepositoryURI": f"{FORGE}/source"}
        yield self._signed(PREDICATE_SLSA_PROVENANCE, {}, self._signers[0], SOME_TIME, claims)

    def _attested(self, key: str) -> Attested:
        evidence = self._evidence[key]
        name = evidence.signer
        signer = self._signers[0] if name is None else (name, self._policy.signers[name])
        view: JsonObject | None = None if evidence.view is None else dict(evidence.view)
        if evidence.type == PREDICATE_EVALUATION and view is not None:
            view = {"suite": A_SUITE, **view}
        if evidence.type == PREDICATE_VULNERABILITIES and view is not None:
            view = {"scanFinishedAt": moment_text(self._situation.now - evidence.age), **view}
        return self._signed(evidence.type, view, signer, evidence.age)

    def _signed(
        self,
        predicate_type: str,
        view: JsonObject | None,
        by: _Signer,
        age: timedelta,
        claims: Mapping[str, str] | None = None,
    ) -> Attested:
        signer, rule = by
        ref = rule.refs[0].replace("*", "x") if rule.refs else A_TAG
        return Attested(
            predicate_type=predicate_type,
            root=rule.root,
            issuer=rule.issuer,
            identity=rule.identity or f"{rule.workflow}@{ref}",
            signers=(signer,),
            signed_at=self._situation.now - age,
            log_index=0,
            payload_digest=Digest.of(canonical_bytes([predicate_type, view, signer, age.total_seconds()])),
            bundle_digest=Digest.of(b"a bundle"),
            view=view,
            claims={
                "sourceRepositoryRef": ref,
                **{str(key): text for key, text in rule.claims.items()},
                **(claims or {}),
            },
        )

    def _approvals(self) -> Iterable[Approval]:
        it, rule = self._situation, self._rule
        for name, age in it.approvals.items():
            predicate = ApprovalPredicate(
                agent=it.agent,
                version=it.version,
                digest=self._digest,
                channel=self._channel,
                sequence=SEQUENCE,
                action=it.action,
                rule=rule.digest if rule else self._digest,
                not_full_before=it.now - age,
                expires_at=it.now - age + DEFAULT_APPROVAL_LIFE,
            )
            yield self._stated(PREDICATE_APPROVAL, predicate.view(), name, age)

    def _reviews(self) -> Iterable[Approval]:
        it = self._situation
        suites = {str((self._attested(key).view or {}).get("suite", A_SUITE)) for key in it.evidence}
        for (name, cases), suite in product(it.reviews.items(), sorted(suites or {A_SUITE})):
            predicate = ReviewPredicate(
                agent=it.agent,
                version=it.version,
                digest=self._digest,
                verdict=ReviewVerdict.ACCEPTED,
                reason=ACCEPTED,
                flips=Flips(suite, self._served, cases),
            )
            yield self._stated(PREDICATE_REVIEW, predicate.view(), name, SOME_TIME)

    def _glass(self) -> Approval | None:
        it, glass = self._situation, self._policy.document.break_glass
        if it.break_glass is None:
            return None
        predicate = BreakGlassPredicate(
            agent=it.agent,
            version=it.version,
            digest=self._digest,
            channel=self._channel,
            sequence=SEQUENCE,
            action=it.action,
            reason=ACCEPTED,
            expires_at=it.now + (glass.expires_after if glass else SOME_TIME) / 2,
        )
        return self._stated(PREDICATE_BREAK_GLASS, predicate.view(), it.break_glass, timedelta())

    def _stated(self, predicate_type: str, view: JsonObject, name: str, age: timedelta) -> Approval:
        caller = self._people[name]
        attested = Attested(
            predicate_type=predicate_type,
            root=ROOT,
            issuer=caller.issuer,
            identity=caller.identity,
            signers=(name,),
            signed_at=self._situation.now - age,
            log_index=0,
            payload_digest=Digest.of(canonical_bytes([view, name])),
            bundle_digest=Digest.of(b"a bundle"),
            view=view,
        )
        return Approval(attested, name, caller, caller)


def _signer(name: str, rule: IdentityRule, types: tuple[str, ...] = ()) -> SignerRule:
    return SignerRule(name=name, types=types, **{key: getattr(rule, key) for key in IdentityRule.model_fields})


def _approver(name: str, caller: Caller) -> ApproverRule:
    return ApproverRule(name=name, root=ROOT, issuer=caller.issuer, identity=caller.identity)
