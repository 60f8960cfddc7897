"""Attestations: the latest one by the named signer, its age, its condition, and the comparison with what is served."""

from __future__ import annotations

from functools import partial

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_TEST_RESULT, short_name
from tidegate.policy.inputs import Attested
from tidegate.policy.judge.evidence import Counted, Wanted, count, measured_of, missing, too_old, who_can_sign
from tidegate.policy.judge.matter import About, Matter, shown
from tidegate.policy.load import LoadedRequirement
from tidegate.policy.verdict import Finding, State

PASSED = "PASSED"  # in-toto's test-result predicate; WARNED is not it


def judge_attestation(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D16: the latest such attestation is young enough, and its condition is true."""
    asked = loaded.requirement.attestation
    if asked is None:
        return ()
    wanted = Wanted(asked.type, asked.signer)
    latest, finding = latest_of(matter, wanted, about, count(matter, wanted))
    if latest is None or finding is not None:
        return (finding,) if finding is not None else ()
    if (old := too_old(about, matter, latest, asked.max_age, wanted)) is not None:
        return (old,)
    if loaded.requirement.when is None:
        by = f"{short_name(asked.type)} attestation by {asked.signer}"
        return (about.met(f"there is the {by}", measured=measured_of(latest)),)
    return (_judge_condition(matter, loaded, about, latest, wanted),)


def judge_test_result(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D24: the latest in-toto test result is young enough, and all tests passed."""
    asked = loaded.requirement.test_result
    if asked is None:
        return ()
    wanted = Wanted(PREDICATE_TEST_RESULT, asked.signer)
    latest, finding = latest_of(matter, wanted, about, count(matter, wanted))
    if latest is None or finding is not None:
        return (finding,) if finding is not None else ()
    if (old := too_old(about, matter, latest, asked.max_age, wanted)) is not None:
        return (old,)
    view, measured = latest.view or {}, measured_of(latest)
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


def latest_of(matter: Matter, wanted: Wanted, about: About, counted: Counted) -> tuple[Attested | None, Finding | None]:
    """Give the one that counts, or the finding that there is none."""
    if counted.latest is None:
        return None, missing(about, matter, wanted, counted)
    return counted.latest, None


def _judge_condition(
    matter: Matter, loaded: LoadedRequirement, about: About, latest: Attested, wanted: Wanted
) -> Finding:
    program = loaded.program
    if program is None:
        raise AssertionError("load_policy compiles every condition")
    measured, kind = measured_of(latest), short_name(wanted.predicate_type)
    unsure = partial(
        about.unmet,
        state=State.INCONCLUSIVE,
        expected=loaded.requirement.when,
        hint="attach evidence that says it",
        who_can=who_can_sign(matter, wanted),
        measured=measured,
    )
    if program.unavailable is not None:
        return unsure(program.unavailable.message, hint=program.unavailable.hint, who_can=())
    if latest.view is None:
        return unsure(f"the {kind} attestation is too large to be read")
    baseline, serving = None, matter.inputs.channel.serving
    if loaded.requirement.baseline is not None and serving is None:
        return _without_baseline(matter, loaded, about, measured)
    if loaded.requirement.baseline is not None and serving is not None:
        before = count(matter, wanted, matter.serving_evidence).latest
        if before is None or before.view is None:
            return unsure(
                f"there is no {kind} attestation by `{wanted.signer}` about what {matter.request.channel} serves",
                hint=f"attach one to {matter.request.agent}:{serving.version} first",
            )
        baseline, measured = before.view, {**measured, "baseline": measured_of(before)}
    outcome = program.evaluate(latest.view, baseline, _release(matter), matter.now)
    measured = {**measured, "read": dict(outcome.measured)}
    found = ", ".join(f"{path} is {shown(value)}" for path, value in outcome.measured.items()) or None
    if outcome.holds is True:
        return about.met(f"the {kind} attestation by {wanted.signer} fulfils it", found=found, measured=measured)
    if outcome.holds is None:
        why = outcome.reason
        if why is None:
            return unsure("the condition has no value", found=found, measured=measured)
        return unsure(why.message, found=why.found or found, hint=why.hint, measured=measured)
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


def _release(matter: Matter) -> JsonObject:
    """Give what conditions may read of the release; the source is absent where there is none."""
    request, release = matter.request, matter.inputs.release
    known: JsonObject = {
        "agent": request.agent,
        "version": release.version,
        "namespace": request.agent.partition("/")[0],
        "channel": request.channel,
        "opaque": release.opaque,
    }
    return known if request.source is None else {**known, "source": request.source}
