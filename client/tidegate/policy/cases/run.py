"""Read a file of cases and decide each of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.errors import PolicyInvalid
from tidegate.formats.document import MAX_MISTAKES, read_document, refusal
from tidegate.formats.jcs import JsonObject
from tidegate.formats.yamldoc import PathInside, parse_yaml
from tidegate.policy.cases.build import World
from tidegate.policy.cases.model import Case, CasesDocument, Situation
from tidegate.policy.cases.people import AN_AUTHOR, Cast
from tidegate.policy.crosscheck import Mistakes
from tidegate.policy.decide import decide
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.verdict import Allowed, Finding, Refused

MAX_CASES_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of one case. `differs`: in sentences, how that is not what it expects; empty when it is."""

    name: str
    line: int
    verdict: Allowed | Refused
    differs: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "name": self.name,
            "line": self.line,
            "passed": not self.differs,
            "differs": list(self.differs),
            "verdict": "allowed" if self.verdict else "refused",
            "findings": [finding.as_json() for finding in self.verdict.findings],
        }


def run_cases(policy: LoadedPolicy, raw: bytes, *, name: str = "cases.yaml") -> tuple[CaseResult, ...]:
    """Decide every case of a file, YAML or JSON. `name`: the file, for messages.

    Raises PolicyInvalid with every mistake, each beginning `file:line: path:`.
    """
    source = parse_yaml(raw, limit=MAX_CASES_BYTES, name=name, error=PolicyInvalid)
    document = read_document(source, CasesDocument, error=PolicyInvalid)
    cast, mistakes = Cast(policy, document.people), Mistakes(source)
    cast.check(mistakes)
    for key, evidence in document.evidence.items():
        if evidence.signer is not None:
            mistakes.known(("evidence", key, "signer"), evidence.signer, policy.signers, "signer")
    _check_situation(policy, document, document.default, ("default",), mistakes)
    for index, case in enumerate(document.cases):
        _check_situation(policy, document, case, ("cases", index), mistakes)
        if document.situation(case).to is None:
            mistakes.add(("cases", index), "`to` is missing", expected="a channel, here or in `default`")
    if mistakes.reasons:
        raise refusal(PolicyInvalid, mistakes.reasons[:MAX_MISTAKES])
    results = []
    for index, case in enumerate(document.cases):
        situation = document.situation(case)
        inputs = World(policy, cast, document.evidence, situation).inputs()
        verdict = decide(policy, inputs, situation.now)
        results.append(CaseResult(case.name, source.line_of(("cases", index)), verdict, tuple(_differs(case, verdict))))
    return tuple(results)


def _check_situation(
    policy: LoadedPolicy, document: CasesDocument, it: Situation, path: PathInside, mistakes: Mistakes
) -> None:
    names, channels = Cast(policy, document.people).names, policy.document.channels
    for key, person in (("by", it.by), ("author", it.author), ("breakGlass", it.break_glass)):
        if person is not None and not (key == "author" and person == AN_AUTHOR):
            mistakes.known((*path, key), person, names, "person")
    for key, people in (("approvals", it.approvals), ("reviews", it.reviews)):
        for person in people:
            mistakes.known((*path, key, person), person, names, "person")
    mistakes.all_known((*path, "evidence"), it.evidence, document.evidence, "evidence")
    if it.serving is not None:
        mistakes.all_known((*path, "serving", "evidence"), it.serving.evidence, document.evidence, "evidence")
    for key, channel in (("from", it.from_), ("to", it.to)):
        if channel is not None:
            mistakes.known((*path, key), channel, channels, "channel")
    for channel in it.served or ():
        mistakes.known((*path, "served", channel), channel, channels, "channel")
    if it.published_by is not None:
        mistakes.known((*path, "publishedBy"), it.published_by, policy.signers, "signer")


def _differs(case: Case, verdict: Allowed | Refused) -> Iterator[str]:
    expect = case.expect
    missing = verdict.missing if isinstance(verdict, Refused) else ()
    said = "allowed" if verdict else "refused"
    findings = {finding.id: finding for finding in verdict.findings}
    if said != expect.verdict:
        yield f"it is {said}, and should be {expect.verdict}"
    if expect.missing is not None or expect.verdict == "allowed":
        wanted = expect.missing or ()
        yield from (
            f"{finding.id} is {finding.state.value}, and should pass: {_told(finding)}"
            for finding in missing
            if finding.id not in wanted
        )
        ids = {finding.id for finding in missing}
        yield from (f"{name} {_passes(findings.get(name))}" for name in wanted if name not in ids)
    for name, state in expect.states.items():
        found = findings.get(name)
        if found is None or found.state is not state:
            is_now = "no finding of this decision" if found is None else f"{found.state.value}: {_told(found)}"
            yield f"{name} should be {state.value}, and is {is_now}"
    for name, text in expect.found.items():
        found = findings.get(name)
        if found is None or text not in _told(found):
            yield f"{name} should say {text!r}, and says {_told(found) if found else 'nothing'}"


def _passes(finding: Finding | None) -> str:
    if finding is None:
        return "should hold it up, and is no finding of this decision"
    return f"should hold it up, and is {finding.state.value}: {_told(finding)}"


def _told(finding: Finding) -> str:
    return "; ".join(text for text in (finding.message, finding.found) if text)
