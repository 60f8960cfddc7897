"""The numbered steps of docs/spec/replay.md: what is looked at of every decision, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tidegate.auditor.replay.case import Case, LackingError, differs, same
from tidegate.digest import Digest
from tidegate.errors import Reason, TidegateError
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate.policy.load import load_policy

MAX_TRUST_BYTES: Final = 16 << 20  # a description of trust: a line for each root and charter
CHANGED: Final = frozenset({"log-object-changed"})  # what is there is not what was named: that is no mere lack


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One numbered check. `check` gives the reasons why it is not as it must be. Raises LackingError."""

    number: str
    title: str
    check: Callable[[Case], Iterable[Reason]]


def run(case: Case) -> tuple[list[Reason], list[Reason]]:
    """Run every step; give what differs, and what could not be looked at and why, each once."""
    differing: dict[Reason, None] = {}
    lacking: dict[Reason, None] = {}
    for step in REPLAY_STEPS:
        try:
            for reason in step.check(case):
                differing[reason] = None
        except LackingError as error:
            (differing if error.reason.code in CHANGED else lacking)[error.reason] = None
        except TidegateError as error:
            lacking |= dict.fromkeys(error.reasons)
    return list(differing), list(lacking)


def _step_y2_entry(case: Case) -> Iterable[Reason]:
    for name, said in case.entry_says().items():
        found = case.task.entry.data.get(name)
        if not same(found, said):
            message = f"the entry says another {name} than the record"
            yield differs("record-foreign", message, step="Y2", found=found, expected=said)
    actor, facts, at = case.task.entry.actor, case.facts, case.task.entry.at
    by = {key: value for key in ("kind", "issuer", "name") if (value := getattr(actor, key))}
    if by != facts.actor:
        message = "the entry says that somebody else brought the decision about"
        yield differs("record-foreign", message, step="Y2", found=by, expected=facts.actor)
    if not at - facts.longest <= facts.decided_at <= at:
        message = "it was decided for another time than that of its entry"
        yield differs("record-foreign", message, step="Y2", found=facts.decided_at.isoformat(), expected=at.isoformat())


def _step_y3_policy(case: Case) -> Iterable[Reason]:
    recorded, in_force = case.facts.policy, case.task.context.policies
    if recorded is None and not in_force:
        return
    digests = [_policy_digest(case, company, overlay) for company, overlay in in_force]
    if recorded is None or recorded.digest not in digests:
        yield differs(
            "policy-not-in-force",
            "it was judged by another policy than the log says was in force",
            step="Y3",
            found=recorded and recorded.digest,
            expected=" or ".join(digests) or "no policy",
        )


def _policy_digest(case: Case, company: Digest, overlay: Digest | None) -> Digest:
    texts = case.object(company), None if overlay is None else case.object(overlay)
    key = Digest.of(f"{company} {overlay}".encode())
    return case.bench.texts(key, lambda: load_policy(texts[0], texts[1], name="policy", overlay_name="overlay")).digest


def _step_y4_trust(case: Case) -> Iterable[Reason]:
    facts, described = case.facts, case.task.context.trusts
    if not described:
        raise LackingError(Reason("trust-untold", "the log does not say whom the registry trusted", step="Y4"))
    said = (None if facts.charter is None else str(facts.charter.digest), {name: str(it) for name, it in facts.roots})
    trusted = [_trusted(case.object(digest), facts.agent) for digest in described]
    if said not in trusted:
        yield differs(
            "trust-not-in-force",
            "it was judged under another charter, or other roots, than the log says were trusted",
            step="Y4",
            found=said,
            expected=" or ".join(map(str, trusted)),
        )


def _trusted(raw: bytes, agent: str) -> tuple[str | None, dict[str, str]]:
    document = parse_object(raw, limit=MAX_TRUST_BYTES, what="a description of trust")
    charters, roots = _digests(document.get("charters")), _digests(document.get("roots"))
    return charters.get(agent) or charters.get(f"{agent.partition('/')[0]}/*"), roots


def _digests(members: JsonValue) -> dict[str, str]:
    named: JsonObject = members if isinstance(members, dict) else {}
    return {name: str(each.get("digest")) for name, each in named.items() if isinstance(each, dict)}


def _step_y5_on_record(case: Case) -> Iterable[Reason]:
    context = case.task.context
    known = {each.bundle for each in (*context.attached, *context.baseline)}
    for named in case.facts.named:
        if named.bundle not in known:
            yield differs(
                "evidence-not-logged",
                "it rests on evidence of which the log knew nothing before",
                step="Y5",
                found=named.bundle,
                expected=f"an entry evidence.verified about {named.subject}",
            )


def _step_y6_evidence(case: Case) -> Iterable[Reason]:
    return case.evidence_differs()


def _step_y7_complete(case: Case) -> Iterable[Reason]:
    for each in case.left_out():
        yield differs(
            "evidence-left-out-of-decision",
            "evidence that the log has, and that counts, is not in the record",
            step="Y7",
            found=each.bundle,
            expected=f"{each.predicate_type}, verified at {each.at.isoformat()}",
        )


def _step_y8_state(case: Case) -> Iterable[Reason]:
    return case.state_differs()


def _step_y9_parts(case: Case) -> Iterable[Reason]:
    return case.parts_differ()


def _step_y10_verdict(case: Case) -> Iterable[Reason]:
    if not case.engine_is_todays:
        raise LackingError(
            Reason(
                "engine-unknown",
                "it was judged by an engine that this version has not",
                case.facts.engine[:100],
                hint="replay it with the version it is of",
                step="Y10",
            )
        )
    return case.verdict_differs()


REPLAY_STEPS: Final = (
    ReplayStep("Y2", "the entry says what its record says", _step_y2_entry),
    ReplayStep("Y3", "the policy is the one in force by the log", _step_y3_policy),
    ReplayStep("Y4", "charter and roots are those trusted by the log", _step_y4_trust),
    ReplayStep("Y5", "all evidence has an entry before it", _step_y5_on_record),
    ReplayStep("Y6", "all evidence verifies, at the time of the decision, to what the record says", _step_y6_evidence),
    ReplayStep("Y7", "no evidence that counts is left out", _step_y7_complete),
    ReplayStep("Y8", "agent and channel were as the record says", _step_y8_state),
    ReplayStep("Y9", "everything in the record follows from what it names", _step_y9_parts),
    ReplayStep("Y10", "decided again, it comes out the same", _step_y10_verdict),
)
"""Y1, that the record is there and can be read, comes before there is a case; Y11 is of the entries that follow."""
