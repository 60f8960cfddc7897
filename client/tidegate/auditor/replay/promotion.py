"""A promotion or rollback, looked at again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tidegate.auditor.replay.case import Case, Facts, LackingError, Named, differs
from tidegate.auditor.replay.evidence import Bench
from tidegate.auditor.replay.history import Standing
from tidegate.auditor.replay.state import Attached
from tidegate.auditor.replay.task import Task
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.types import APPROVER_TYPES, BREAK_GLASS_TYPES, PREDICATE_BREAK_GLASS
from tidegate.policy.attested import approver_rule, attested_of
from tidegate.policy.decide import ENGINE, decide
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.policy.inputs import Approval, Attested, Tenure
from tidegate.policy.record import DecisionRecord, parse_record
from tidegate.policy.verdict import Allowed, Refused
from tidegate.verify.trust import Trust

FILED: Final = frozenset({*APPROVER_TYPES, *BREAK_GLASS_TYPES})  # what persons sign; a rollback looks at nothing else


class PromotionCase(Case):
    """A decision about a channel whose record is read."""

    def __init__(self, task: Task, bench: Bench, raw: bytes) -> None:
        """Read the record. Raises StatementInvalid, JsonInvalid."""
        super().__init__(task, bench)
        self.record: DecisionRecord = parse_record(raw)
        inputs = self.record.inputs
        release, serving, request = inputs.release, inputs.channel.serving, inputs.request
        self.own = tuple(Named(each.bundle_digest, release.digest) for each in inputs.attestations)
        self.baseline = (
            ()
            if serving is None
            else tuple(Named(each.bundle_digest, serving.digest) for each in inputs.channel.serving_evidence)
        )
        self.facts = Facts(
            agent=request.agent,
            digest=release.digest,
            engine=self.record.engine,
            actor=self.record.actor,
            decided_at=self.record.decided_at,
            longest=timedelta(0),  # one clock reading for both
            charter=inputs.charter,
            roots=inputs.roots,
            policy=self.record.policy,
            named=(*self.own, *self.baseline),
            allowed=isinstance(self.record.verdict, Allowed),
            words=f"{request.agent}:{release.version} {request.action.value} to {request.channel}",
        )

    @property
    def engine_is_todays(self) -> bool:
        return self.record.engine == ENGINE

    def entry_says(self) -> JsonObject:
        inputs, verdict = self.record.inputs, self.record.verdict
        return {
            "repository": inputs.request.agent,
            "channel": inputs.request.channel,
            "version": inputs.release.version,
            "digest": str(inputs.release.digest),
            "action": inputs.request.action.value,
            "allowed": self.facts.allowed,
            "policy": str(self.record.policy.digest),
            "charter": None if inputs.charter is None else str(inputs.charter.digest),
            "missing": [each.id for each in verdict.missing] if isinstance(verdict, Refused) else [],
        }

    def evidence_differs(self) -> Iterable[Reason]:
        inputs = self.record.inputs
        said = (*inputs.attestations, *inputs.channel.serving_evidence)
        for named, recorded in zip(self.facts.named, said, strict=True):
            found = self.verify(named)
            again = attested_of(found) if isinstance(found, VerifiedAttestation) else None
            if again != recorded:
                yield differs(
                    "evidence-differs",
                    f"the bundle {named.bundle} proves something else than was recorded",
                    step="Y6",
                    found=again if isinstance(found, VerifiedAttestation) else ", ".join(each.code for each in found),
                    expected=recorded,
                )

    def left_out(self) -> Iterable[Attached]:
        inputs, context = self.record.inputs, self.task.context
        if inputs.charter is None:
            return
        rollback = inputs.request.action is Action.ROLLBACK
        sides = [(context.attached, self.own, inputs.release.digest)]
        if inputs.channel.serving is not None and context.serving == inputs.channel.serving.digest:
            sides.append((context.baseline, self.baseline, inputs.channel.serving.digest))
        for attached, named, subject in sides:
            considered = [each for each in attached if not rollback or each.predicate_type in FILED]
            yield from self.overlooked(considered, named, subject)

    def state_differs(self) -> Iterable[Reason]:
        context, inputs = self.task.context, self.record.inputs
        serving = inputs.channel.serving and inputs.channel.serving.digest
        if serving != context.serving:
            yield differs(
                "channel-differs",
                f"the log says that {inputs.channel.name} served something else",
                step="Y8",
                found=serving,
                expected=context.serving or "nothing",
            )
        if (inputs.release.revoked is not None) != context.revoked:
            yield differs(
                "revocation-differs",
                "the log says otherwise whether the release was revoked",
                step="Y8",
                found=inputs.release.revoked or "not revoked",
                expected="revoked" if context.revoked else "not revoked",
            )

        standing = context.standing
        if standing is not None:
            yield from self._releases_differ(standing)
            yield from self._history_differs(standing)
            yield from self._request_differs(standing)

    def _releases_differ(self, standing: Standing) -> Iterable[Reason]:
        inputs = self.record.inputs
        for said, admitted in ((inputs.release, standing.release), (inputs.channel.serving, standing.serving)):
            if said is None:
                continue
            known = None if admitted is None else self.release(admitted, revoked=said.revoked)
            if known != said:
                yield differs(
                    "release-differs",
                    f"{said.version} was admitted otherwise, or never, by the log",
                    step="Y8",
                    found=said,
                    expected=known or "a release that was admitted before",
                )
        serving = inputs.channel.serving
        if serving is not None and (serving.revoked is not None) != standing.serving_revoked:
            message = "the log says otherwise whether what the channel serves was revoked"
            yield differs("revocation-differs", message, step="Y8", found=serving.revoked or "not revoked")

    def _history_differs(self, standing: Standing) -> Iterable[Reason]:
        inputs, channel = self.record.inputs, self.record.inputs.channel
        window = standing.window[: 0 if inputs.charter is None else inputs.charter.rollback_window]
        for what, said, known in (
            ("when it was served", sorted(inputs.tenures, key=_by_time), sorted(standing.tenures, key=_by_time)),
            ("what the channel served before", channel.window, window),
            ("what the channel left by a rollback", sorted(channel.left), sorted(standing.left)),
            ("whether a rollback holds it off", channel.hold is not None, standing.held),
            ("how many reviews of broken glass are overdue", len(channel.debts), standing.overdue),
            ("how many tasks it served, which nobody reports", inputs.tasks, None),
        ):
            if said != known:
                message = f"the log says otherwise {what}"
                yield differs("history-differs", message, step="Y8", found=said, expected=known)

    def _request_differs(self, standing: Standing) -> Iterable[Reason]:
        request, promotion = self.record.inputs.request, self.task.entry.data.get("promotion")
        number, newest = request.sequence, self.record.inputs.channel.sequence
        if promotion is None and not self.facts.allowed:  # nothing could mend it: none was opened
            said: object = (number, newest)
            known: object = (standing.sequence + 1, standing.sequence + 1)
        else:
            said = (
                *(request.id, request.agent, request.channel, request.source, self.record.inputs.release.version),
                *(str(self.facts.digest), number, str(request.action), request.reason, request.opened_at, newest),
            )
            opened = standing.request
            known = None if opened is None else (*astuple(opened), standing.sequence)
        if said != known:
            yield differs(
                "request-differs",
                "the log says otherwise what was asked for, or that nothing was",
                step="Y8",
                found=said,
                expected=known or "an entry promotion.opened",
            )

    def parts_differ(self) -> Iterable[Reason]:
        inputs = self.record.inputs
        if inputs.charter is None:
            return
        expected: dict[Digest, tuple[str, Attested]] = {}
        for named, recorded in zip(self.own, inputs.attestations, strict=True):
            found = self.verify(named) if recorded.predicate_type in FILED else None
            if not isinstance(found, VerifiedAttestation):
                continue
            rule = approver_rule(inputs.charter, found, inputs.request.channel)
            if rule is not None:
                expected[named.bundle] = (rule.human, recorded)
        glass = inputs.request.glass
        said = {each.attested.bundle_digest: (each.person, each.attested) for each in inputs.approvals}
        if glass is not None and expected.get(glass.attested.bundle_digest) != (glass.person, glass.attested):
            yield _unsigned(glass)
        usual = {key: each for key, each in expected.items() if each[1].predicate_type != PREDICATE_BREAK_GLASS}
        for approval in inputs.approvals:
            if usual.get(approval.attested.bundle_digest) != (approval.person, approval.attested):
                yield _unsigned(approval)
        for missed in usual.keys() - said.keys():
            yield differs(
                "approval-left-out", "a statement by an approver is not in the record", step="Y9", found=missed
            )

    def verdict_differs(self) -> Iterable[Reason]:
        record = self.record
        if self.policy is None:
            return
        again = decide(self.policy, record.inputs, record.decided_at)
        if again == record.verdict:
            return
        old = {(each.id, each.kind): each for each in record.verdict.findings}
        other = [each for each in again.findings if old.get((each.id, each.kind)) != each]
        yield differs(
            "verdict-differs",
            "decided again, it comes out otherwise",
            step="Y10",
            found=_words(again) + "".join(f"; {each.id} {each.state.value}" for each in other),
            expected=_words(record.verdict),
        )

    def allowed_today(self, trust: Trust) -> bool:
        inputs = self.record.inputs
        charter = trust.charters.for_agent(inputs.request.agent)
        if self.policy is None:
            raise LackingError(Reason("policy-missing", "the record has no policy"))

        def again(named: Iterable[Named]) -> dict[Digest, VerifiedAttestation]:
            if charter is None:
                return {}
            found = ((each.bundle, self.verify_under(each, charter, trust)) for each in named)
            return {bundle: each for bundle, each in found if isinstance(each, VerifiedAttestation)}

        own, baseline = again(self.own), again(self.baseline)

        def counts(approval: Approval) -> bool:
            found = own.get(approval.attested.bundle_digest)
            rule = approver_rule(charter, found, inputs.request.channel) if charter and found else None
            return rule is not None and rule.human == approval.person

        glass = inputs.request.glass
        other = replace(
            inputs,
            request=replace(inputs.request, glass=glass if glass is not None and counts(glass) else None),
            channel=replace(inputs.channel, serving_evidence=tuple(map(attested_of, baseline.values()))),
            charter=charter,
            attestations=tuple(map(attested_of, own.values())),
            approvals=tuple(each for each in inputs.approvals if counts(each)),
            roots=tuple((root.name, root.digest) for root in trust.roots),
        )
        return isinstance(decide(self.policy, other, self.record.decided_at), Allowed)


def _by_time(each: Tenure) -> tuple[str, datetime, datetime]:
    return each.channel, each.since, each.until or datetime.max.replace(tzinfo=UTC)


def _unsigned(approval: Approval) -> Reason:
    return differs(
        "approval-differs",
        f"no verified statement makes this an approval by {approval.person}",
        step="Y9",
        found=approval.attested.bundle_digest,
        expected="a statement that was verified, by that person of the charter",
    )


def _words(verdict: Allowed | Refused) -> str:
    return "allowed" if isinstance(verdict, Allowed) else "refused"
