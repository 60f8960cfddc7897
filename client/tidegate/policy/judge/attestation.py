"""Attestations: the latest one by the named signer, its age, its condition, and the comparison with what is served."""

from __future__ import annotations

from dataclasses import replace

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_TEST_RESULT, short_name
from tidegate.policy.cel.program import Program
from tidegate.policy.inputs import Attested
from tidegate.policy.judge.evidence import Wanted, latest, measured_of, missing, suite_of, too_old, who_can_sign
from tidegate.policy.judge.matter import About, Matter, shown
from tidegate.policy.load import LoadedRequirement
from tidegate.policy.verdict import Finding, State

PASSED = "PASSED"  # in-toto's test-result predicate; WARNED is not it


def judge_attestation(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D16: the latest such attestation is young enough, and its condition is true."""
    asked = loaded.requirement.attestation
    if asked is None:
        return ()
    wanted = Wanted(asked.type, asked.signer, asked.suite)
    counted = latest(matter, wanted)
    if counted is None:
        return (missing(about, matter, wanted),)
    if (old := too_old(about, matter, counted, asked.max_age, wanted)) is not None:
        return (old,)
    if loaded.requirement.when is None:
        by = f"{short_name(asked.type)} attestation by {asked.signer}"
        return (about.met(f"there is the {by}", measured=measured_of(counted)),)
    if loaded.program is None:
        raise AssertionError("load_policy compiles every condition")
    return (_judge_condition(matter, loaded, about, counted, wanted=wanted, program=loaded.program),)


def judge_test_result(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D24: the latest in-toto test result is young enough, and all tests passed."""
    asked = loaded.requirement.test_result
    if asked is None:
        return ()
    wanted = Wanted(PREDICATE_TEST_RESULT, asked.signer)
    counted = latest(matter, wanted)
    if counted is None:
        return (missing(about, matter, wanted),)
    if (old := too_old(about, matter, counted, asked.max_age, wanted)) is not None:
        return (old,)
    view, measured = counted.view or {}, measured_of(counted)
    result = view.get("result")
    if result == PASSED:
        return (
            about.met(f"the tests of {asked.signer} passed", found=PASSED, measured={**measured, "result": result}),
        )
    failed = view.get("failedTests")
    names = ", ".join(str(name) for name in failed[:5]) if isinstance(failed, list) else ""
    return (
        about.unmet(
            f"the tests of {asked.signer} did not pass",
            found=f"{result}: {names}" if names else str(result),
            expected=PASSED,
            hint="mend what failed and publish the next version, or run the tests again",
            who_can=who_can_sign(matter, wanted),
            measured={**measured, "result": result},
        ),
    )


def _judge_condition(
    matter: Matter, loaded: LoadedRequirement, about: About, counted: Attested, *, wanted: Wanted, program: Program
) -> Finding:
    measured, kind = measured_of(counted), short_name(wanted.predicate_type)

    def unsure(message: str, *, found: str | None = None, hint: str | None = None) -> Finding:
        return about.unmet(
            message,
            found=found,
            expected=loaded.requirement.when,
            hint=hint or "attach evidence that says it",
            who_can=who_can_sign(matter, wanted),
            measured=measured,
            state=State.INCONCLUSIVE,
        )

    if program.unavailable is not None:
        return unsure(program.unavailable.message, hint=program.unavailable.hint)
    if counted.view is None:
        return unsure(f"the {kind} attestation is too large to be read")
    baseline, serving = None, matter.inputs.channel.serving
    if loaded.requirement.baseline is not None and serving is None:
        return _without_baseline(matter, loaded, about, measured)
    if loaded.requirement.baseline is not None and serving is not None:
        same = replace(wanted, suite=suite_of(counted))  # what two suites measure is not comparable
        before = latest(matter, same, serving=True)
        if before is None or before.view is None:
            return unsure(
                f"there is no {kind} attestation{same.words} about what {matter.request.channel} serves",
                hint=f"attach one to {matter.request.agent}:{serving.version} first",
            )
        baseline, measured = before.view, {**measured, "baseline": measured_of(before)}
    outcome = program.evaluate(counted.view, baseline, matter.release, matter.now)
    measured = {**measured, "read": dict(outcome.measured)}
    found = ", ".join(f"{path} is {shown(value)}" for path, value in outcome.measured.items()) or None
    if outcome.holds is True:
        return about.met(f"the {kind} attestation by {wanted.signer} fulfils it", found=found, measured=measured)
    if outcome.holds is None:
        why = outcome.reason
        if why is None:
            return unsure("the condition has no value", found=found)
        return unsure(why.message, found=why.found or found, hint=why.hint)
    return about.unmet(
        f"the {kind} attestation by {wanted.signer} does not fulfil the condition",
        found=found,
        expected=loaded.requirement.when,
        hint="mend what it measures and publish the next version, or attach a newer result",
        who_can=who_can_sign(matter, wanted),
        measured=measured,
    )


def _without_baseline(matter: Matter, loaded: LoadedRequirement, about: About, measured: JsonObject) -> Finding:
    nothing = f"{matter.request.channel} serves nothing yet that it could be compared with"
    if loaded.requirement.on_missing_baseline == "pass":
        return about.met(nothing, measured=measured)
    hint = "write `onMissingBaseline: pass` in the policy if the first release may enter without a comparison"
    return about.unmet(nothing, expected=loaded.requirement.when, hint=hint, measured=measured)
