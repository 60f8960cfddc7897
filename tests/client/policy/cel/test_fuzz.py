"""Whatever is written and whatever is there: a mistake is a WhenInvalid, and nothing holds for want of evidence."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.client.policy.cel.library import NOW, RELEASE, needs_library
from tidegate.errors import WhenInvalid
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.policy.cel.paths import Each, Path
from tidegate.policy.cel.program import Program, compile_when
from tidegate.policy.cel.schemas import EVALUATION

pytestmark = needs_library

TOKENS: Final = (
    *(
        "predicate",
        "baseline",
        "release",
        "now",
        "passRate",
        "cases",
        "outcomes",
        "metrics",
        "judge",
        "suite",
        "o",
        "m",
    ),
    *(".", ".", ".", "(", ")", "[", "]", "{", "}", ",", ":", "?", "&&", "||", "!", "==", "<", "+", "-", "/", "%", "in"),
    *("has", "size", "all", "exists", "map", "filter", "exists_one", "dyn", "type", "matches", "timestamp", "duration"),
    *("0", "1", "1.0", "1u", "null", "true", '"a"', "'b'", 'b"c"', 'r"\\d"', "`a`", "\n", "//", "\t", "é", "😀", "\0"),
)
SPACED: Final = st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join)
GLUED: Final = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)

# numbers of each element of `outcomes` are called o.…, of each metric predicate.metrics[m].…
INTS: Final = ("predicate.cases", "predicate.passed", "baseline.cases", 'predicate.metrics["cost"].n', "3")
DOUBLES: Final = (
    "predicate.passRate",
    "predicate.passHatK",
    "baseline.passRate",
    'predicate.metrics["cost"].value',
    "0.5",
)
TESTS: Final = ("has(predicate.judge)", "has(predicate.passed)", '"cost" in predicate.metrics', "has(baseline.cases)")
MACROS: Final = (
    "predicate.outcomes.all(o, {})",
    "predicate.outcomes.exists(o, {})",
    "predicate.outcomes.exists_one(o, {})",
    "predicate.outcomes.filter(o, {}).size() > 0",
    "predicate.outcomes.filter(o, {}).map(p, p.passes).exists(p, p > 0)",
    "[predicate.outcomes[0], predicate.outcomes[1]].exists(o, {})",
    "!predicate.outcomes.all(o, {} || o.of > 99)",
)
METRICS: Final = ("predicate.metrics.all(m, {})", "predicate.metrics.exists(m, {})")


@st.composite
def comparisons(draw: st.DrawFn, ints: tuple[str, ...], doubles: tuple[str, ...]) -> str:
    numbers = draw(st.sampled_from((ints, doubles)))
    left, right = draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))
    return f"{left} {draw(st.sampled_from(('<', '>=', '==', '!=')))} {right}"


def conditions(ints: tuple[str, ...], doubles: tuple[str, ...], tests: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Give conditions of the right types over these numbers and tests of presence."""
    leaves = comparisons(ints, doubles) | st.sampled_from(tests) | st.sampled_from(("true", 'predicate.judge != "x"'))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: f"({two[0]} && {two[1]})"),
            st.tuples(inner, inner).map(lambda two: f"({two[0]} || {two[1]})"),
            st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})"),
            inner.map(lambda one: f"!({one})"),
        ),
        max_leaves=4,
    )


OUTER: Final = conditions(INTS, DOUBLES, TESTS)
INNER: Final = conditions((*INTS, "o.passes", "o.of"), DOUBLES, (*TESTS, "has(o.passes)"))
PER_METRIC: Final = conditions(
    (*INTS, "predicate.metrics[m].n"), (*DOUBLES, "predicate.metrics[m].value"), (*TESTS, "has(predicate.metrics[m].n)")
)
CONDITIONS: Final = st.one_of(
    OUTER,
    st.tuples(st.sampled_from(MACROS), INNER).map(lambda two: two[0].format(two[1])),
    st.tuples(st.sampled_from(METRICS), PER_METRIC).map(lambda two: two[0].format(two[1])),
    st.tuples(st.sampled_from(MACROS), INNER, OUTER).map(lambda three: f"{three[0].format(three[1])} && {three[2]}"),
    st.tuples(st.sampled_from(MACROS), INNER, OUTER).map(lambda three: f"{three[2]} || {three[0].format(three[1])}"),
)

SMALL: Final = st.integers(1, 4)  # in a protobuf message, 0 would be absent
RATE: Final = st.sampled_from((0.0, 0.5, 1.0))
METRIC: Final = st.fixed_dictionaries({"value": RATE, "n": SMALL, "unit": st.just("usd")})
FULL: Final = st.fixed_dictionaries(
    {
        "suite": st.just("s"),
        "judge": st.sampled_from(("x", "y")),
        "cases": SMALL,
        "passed": SMALL,
        "passRate": RATE,
        "passHatK": RATE,
        "metrics": st.fixed_dictionaries({"cost": METRIC}, optional={"tone": METRIC}),
        "outcomes": st.lists(st.fixed_dictionaries({"passes": SMALL, "of": SMALL}), min_size=2, max_size=4),
    }
)
SLOW: Final = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def compiled(text: str) -> Program:
    return compile_when(text, PREDICATE_EVALUATION, with_baseline=True)


@SLOW
@given(text=st.one_of(st.text(max_size=60), SPACED, GLUED))
@example("predicate.cases.all(predicate, predicate)")
@example("{}[{}]")
@example("[predicate, baseline][0] == predicate")
@example("predicate.outcomes.map(o, [o]).map(l, l.map(o, o.passes)) == [[1]]")
def test_a_mistake_is_never_anything_but_refused(text: str) -> None:
    program: Program | None = None
    with suppress(WhenInvalid):
        program = compiled(text)
    if program is not None:
        assert program.evaluate({}, {}, {}, NOW).holds in {True, False, None}


def without(value: JsonValue, path: Path, pick: int) -> JsonValue:
    """Give `value` without what is at `path`; where it goes over elements, `pick` says which one."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and value:
        key = list(value)[pick % len(value)] if isinstance(step, Each) else str(step)
        return {**value, key: without(value.get(key), rest, pick) if rest else None}
    if isinstance(value, list) and value:
        index = pick % len(value) if isinstance(step, Each) else int(str(step))
        inside = [without(item, rest, pick) if rest else None for item in value]
        return [inside[number] if number == index else item for number, item in enumerate(value)]
    return value


@SLOW
@given(text=CONDITIONS, predicate=FULL, baseline=FULL, data=st.data())
def test_without_a_member_that_is_read_unguarded_no_condition_holds(
    text: str, predicate: JsonObject, baseline: JsonObject, data: st.DataObject
) -> None:
    program = compiled(text)
    unguarded = [one.read.path for one in program._looks if not one.read.guards and one.read.path[0] != "release"]
    assume(unguarded)
    values: JsonObject = {"predicate": predicate, "baseline": baseline}
    assert program.evaluate(predicate, baseline, RELEASE, NOW).holds is not None
    thinner = without(values, data.draw(st.sampled_from(unguarded)), data.draw(SMALL))
    assert isinstance(thinner, dict)
    assert thinner != values
    thin, before = thinner["predicate"], thinner["baseline"]
    assert isinstance(thin, dict)
    assert isinstance(before, dict)
    outcome = program.evaluate(thin, before, RELEASE, NOW)
    assert outcome.holds is None
    assert outcome.reason is not None
    assert outcome.reason.code in {"evidence-missing-member", "evidence-wrong-type"}


@SLOW
@given(text=CONDITIONS, predicate=FULL, baseline=FULL)
def test_with_everything_there_a_condition_says_what_it_says_of_typed_messages(
    text: str, predicate: JsonObject, baseline: JsonObject
) -> None:
    from cel_expr_python import cel
    from google.protobuf.json_format import ParseDict
    from google.protobuf.message_factory import GetMessageClass

    from tidegate.policy.cel.descriptors import PACKAGE, message_pool

    pool = message_pool(EVALUATION)
    message = GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{EVALUATION.name}"))
    variables = dict.fromkeys(("predicate", "baseline"), cel.Type(f"{PACKAGE}.{EVALUATION.name}"))
    typed = cel.NewEnv(pool, variables=variables).compile(text)
    expected = typed.eval(
        data={"predicate": ParseDict(predicate, message()), "baseline": ParseDict(baseline, message())}
    ).value()
    assert compiled(text).evaluate(predicate, baseline, RELEASE, NOW).holds is expected
