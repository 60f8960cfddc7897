"""A policy in sentences: what each transition asks, for whoever has to meet it or is about to change it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tidegate.formats.predicates.types import short_name
from tidegate.policy.model import Editors
from tidegate.policy.requirements import (
    ApprovalsWanted,
    AttestationWanted,
    ProvenanceWanted,
    Requirement,
    ReviewWanted,
    SbomWanted,
    SoakWanted,
    TestResultWanted,
    UpstreamWanted,
    VulnerabilitiesWanted,
    show_duration,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from tidegate.policy.load import LoadedPolicy, Rule


def describe(policy: LoadedPolicy) -> Iterator[str]:
    """Say what a policy asks, transition by transition, and who may change it; one line each, indented."""
    edges = dict.fromkeys((transition.from_, transition.to) for transition in policy.document.transitions)
    for source, channel in edges:
        for transition in policy.document.transitions:
            if (transition.from_, transition.to) != (source, channel):
                continue
            about = "" if transition.agents == ("*/*",) else f" of {', '.join(transition.agents)}"
            yield f"{transition.edge}{about}: {either(transition.allow)} may ask"
            for requirement in transition.require:
                yield f"    {requirement.id}: {requirement_in_words(requirement)}"
    yield from _added(policy)
    document = policy.document
    for freeze in policy.freezes:
        yield f"frozen: {', '.join(freeze.channels)} by {freeze.name}"
    if document.break_glass is not None:
        glass = document.break_glass
        review = f"{either(glass.review.allow)} must review it within {show_duration(glass.review.within)}"
        span = show_duration(glass.expires_after)
        yield f"break-glass: {either(glass.allow)} to {', '.join(glass.channels)}, for {span}; {review}"
    yield f"changed by {editors_in_words(document.editors)}"
    yield f"log read by {either(sorted({*document.editors.allow, *document.auditors}))}"


def _added(policy: LoadedPolicy) -> Iterator[str]:
    if policy.overlay is None:
        return
    for added in policy.overlay.transitions:
        about = ", ".join(added.agents or (f"{policy.overlay.namespace}/*",))
        only = f": only {either(added.allow)} may ask" if added.allow is not None else ""
        edge = f"{added.from_} → {added.to}" if added.from_ else f"→ {added.to}"
        yield f"{edge} of {about}, also{only}"
        for requirement in added.require:
            yield f"    {requirement.id}: {requirement_in_words(requirement)}"


def rule_in_words(rule: Rule) -> Iterator[str]:
    """Say what one resolved rule asks, a line for who may ask and one for each requirement."""
    yield f"{either(rule.allow) or 'nobody'} may ask"
    for one in rule.require:
        yield f"{one.requirement.id}: {requirement_in_words(one.requirement)}"


def editors_in_words(editors: Editors) -> str:
    """Say who may change a policy and with how many others."""
    others = f", with {_count(editors.approvals, 'further person', 'further persons')}" if editors.approvals else ""
    return f"{either(editors.allow)}{others}"


def requirement_in_words(requirement: Requirement) -> str:
    """Say what one requirement asks, without its id."""
    text = _SAY[requirement.kind](getattr(requirement, requirement.kind))
    if requirement.when is not None:
        text += f" where {' '.join(requirement.when.split())}"
    if requirement.baseline is not None:
        text += ", compared with what the channel serves"
    if requirement.if_changed:
        text += f"; only when {either([change.value for change in requirement.if_changed])}"
    if requirement.warn_until is not None:
        text += f"; only warns until {requirement.warn_until.isoformat()}"
    return text


def either(names: tuple[str, ...] | list[str]) -> str:
    """Join names as a choice: `a, b or c`."""
    *most, last = names or ("",)
    return f"{', '.join(most)} or {last}" if most else last


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _within(span: timedelta | None) -> str:
    return "" if span is None else f", at most {show_duration(span)} old"


def _attestation(wanted: AttestationWanted) -> str:
    suite = f" of {wanted.suite}" if wanted.suite else ""
    return f"{short_name(wanted.type)}{suite} by {wanted.signer}{_within(wanted.max_age)}"


def _approvals(wanted: ApprovalsWanted) -> str:
    ruled_out = [
        who
        for who, counts in (("the author", not wanted.not_author), ("who asks", not wanted.not_requester))
        if not counts
    ]
    but = f", not {either(ruled_out)}" if ruled_out else ""
    return f"{_count(wanted.count, 'approval', 'approvals')} by {wanted.role}{but}{_within(wanted.max_age)}"


def _review(wanted: ReviewWanted) -> str:
    suite = f" of {wanted.suite}" if wanted.suite else ""
    flips = "any case" if wanted.allow_flips == 0 else f"more than {_count(wanted.allow_flips, 'case', 'cases')}"
    return f"a review by {wanted.role} when {flips}{suite} by {wanted.evaluation} comes out otherwise than before"


def _soak(wanted: SoakWanted) -> str:
    tasks = f" and {_count(wanted.min_tasks, 'task', 'tasks')}" if wanted.min_tasks else ""
    return f"{show_duration(wanted.min)} without a break{tasks} in the channel it comes from"


def _upstream(wanted: UpstreamWanted) -> str:
    joined = " and ".join(wanted.channels) if wanted.match == "all" else either(wanted.channels)
    time = f" for {show_duration(wanted.min)}" if wanted.min else ""
    return f"having been current in {joined}{time}"


def _sbom(wanted: SbomWanted) -> str:
    return f"a bill of materials ({either(wanted.formats)}){f' by {wanted.signer}' if wanted.signer else ''}"


def _vulnerabilities(wanted: VulnerabilitiesWanted) -> str:
    spared = f", but for {_count(len(wanted.ignore), 'identifier', 'identifiers')}" if wanted.ignore else ""
    worst = f"no vulnerability above {wanted.at_most.value}" if wanted.at_most != "none" else "no vulnerability"
    return f"a scan by {wanted.signer} with {worst}{spared}{_within(wanted.max_age)}"


def _provenance(wanted: ProvenanceWanted) -> str:
    builders = f" by {either(wanted.builders)}" if wanted.builders else ""
    return (
        f"SLSA build level {wanted.level} or more{builders}" if wanted.level else f"a build{builders or ' of any kind'}"
    )


def _test_result(wanted: TestResultWanted) -> str:
    return f"tests by {wanted.signer} that passed{_within(wanted.max_age)}"


# each takes the value of its own kind
_SAY: dict[str, Callable[..., str]] = {
    "attestation": _attestation,
    "approvals": _approvals,
    "review": _review,
    "soak": _soak,
    "upstream": _upstream,
    "sbom": _sbom,
    "vulnerabilities": _vulnerabilities,
    "provenance": _provenance,
    "test_result": _test_result,
}
