"""What is refused when a policy is loaded: where it is, and what would be right."""

from __future__ import annotations

import pytest

from tests.client.policy.cel.library import needs_library
from tidegate.errors import WhenInvalid
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.policy.cel.program import compile_when
from tidegate.policy.requirements import MAX_EXPRESSION

pytestmark = needs_library


def refused(text: str, *, with_baseline: bool = False) -> WhenInvalid:
    with pytest.raises(WhenInvalid) as caught:
        compile_when(text, PREDICATE_EVALUATION, with_baseline=with_baseline)
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("predicate.^pasRate >= 0.95", "when-unknown-field", "did you mean `passRate`?"),
        ("predicate.^pass_rate >= 0.95", "when-unknown-field", "did you mean `passRate`?"),
        ('predicate.metrics["cost"].^vale < 1.0', "when-unknown-field", "did you mean `value`?"),
        ("predicate.outcomes.all(o, o.^pases > 1)", "when-unknown-field", "did you mean `passes`?"),
        ('release.^chanel == "stable"', "when-unknown-field", "did you mean `channel`?"),
        ('^predicat.suite == "x"', "when-unknown-name", "did you mean `predicate`?"),
        ("predicate.cases > ^baseline.cases", "when-unknown-name", "write `baseline: current` beside this `when`"),
        ("has(^baseline.cases)", "when-unknown-name", "write `baseline: current` beside this `when`"),
        ("predicate.suite.^sise() > 1", "when-unknown-name", "did you mean `size`?"),
        ("^sise(predicate.outcomes) > 1", "when-unknown-name", "did you mean `size`?"),
        ("predicate.cases ^>= 200.0", "when-wrong-types", "write 200: the other side is an int"),
        ("predicate.passRate ^>= 1", "when-wrong-types", "write 1.0: the other side is a double"),
        ("1 ^<= predicate.passRate", "when-wrong-types", "write 1.0: the other side is a double"),
        ("predicate.cases ^> 0.5", "when-wrong-types", "the other side is an int: use double()"),
        ("predicate.cases ^> predicate.passRate", "when-wrong-types", "counts are int"),
        ('predicate.cases ^== "3"', "when-wrong-types", "compare values of one type"),
        ('predicate.suite ^= "x"', "when-syntax", "write `==`"),
        ("predicate.cases > 1 ^and true", "when-syntax", "write `&&`"),
        ("predicate.cases > 1 ^& true", "when-syntax", "write `&&`"),
        ("^", "when-syntax", None),
        ("^predicate.cases", "when-not-boolean", None),
        ('predicate.suite.matches(^"[")', "when-bad-literal", None),
        ('timestamp(^"yesterday") < now', "when-bad-literal", None),
        ('now - duration(^"1 day") < now', "when-bad-literal", None),
        ("predicate^.metrics == {}", "when-unclear", "compare members one by one"),
        ("[predicate^.metrics] == []", "when-unclear", "compare members one by one"),
        ("dyn(predicate)^.pasRate > 0.5", "when-unclear", "read members without dyn()"),
        ("dyn(predicate.cases).all^(c, c > 1)", "when-unclear", "read members without dyn()"),
        ("^tidegate.Metric{n: 1}.n == 1", "when-unclear", "compare members"),
        ("^" + "+".join(["1"] * 60) + " > predicate.cases", "when-too-complex", "split it"),
        ("^" + "(" * 60 + "true" + ")" * 60, "when-too-complex", "split it"),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_what_would_be_right(text: str, code: str, hint: str | None) -> None:
    at = text.index("^")
    error = refused(text.replace("^", "", 1))
    assert error.reasons[0].code == code
    assert (error.line, error.column) == (1, at + 1)
    assert hint is None or (error.hint or "").startswith(hint)


def test_the_caret_stands_below_the_place_in_its_line() -> None:
    error = refused('predicate.suite == "é😀"\n\t&& predicate.pasRate > 0.5')
    assert (error.line, error.column) == (2, 15)
    assert error.excerpt == "\t&& predicate.pasRate > 0.5\n\t             ^"


def test_a_long_line_is_shown_around_the_place() -> None:
    error = refused('predicate.suite == "' + "x" * 500 + '" && predicate.pasRate > 0.5')
    line, caret = error.excerpt.split("\n")
    assert line[caret.index("^") :].startswith("pasRate")
    assert len(line) <= 100


def test_every_mistake_is_told_at_once() -> None:
    error = refused('predicate.pasRate > 0.5 && predicate.sweet == "x" && predicate.cases > 0.5')
    assert [reason.code for reason in error.reasons] == ["when-unknown-field", "when-unknown-field", "when-wrong-types"]


def test_a_condition_has_a_longest_length() -> None:
    assert (
        compile_when("true" + " " * (MAX_EXPRESSION - 4), PREDICATE_EVALUATION, with_baseline=False).reads
        == frozenset()
    )
    error = refused("true" + " " * (MAX_EXPRESSION - 3))
    assert error.reasons[0].code == "when-too-long"


@pytest.mark.parametrize("text", ["predicate.suite == '\0'", "predicate.suite == '\ud800'"])
def test_text_that_no_file_holds_is_refused(text: str) -> None:
    assert refused(text).reasons[0].code == "when-syntax"
