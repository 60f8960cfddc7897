"""Steps: numbers as in the spec page, every exception a refusal, no text of a library let out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidegate.errors import EvidenceRefused, StatementInvalid, Unreachable
from tidegate.verify.artifact import RELEASE_STEPS
from tidegate.verify.attestation import STATEMENT_STEPS, STEP_TITLES
from tidegate.verify.release import LIST_STEPS, MANIFEST_STEPS, REFERRER_STEPS, title_of
from tidegate.verify.signature import SIGNATURE_STEPS
from tidegate.verify.steps import MAX_TEXT, Step, bounded, run_steps

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "verification.md"


def test_the_page_and_the_code_have_the_same_steps_in_the_same_order() -> None:
    written = re.findall(r"^\| ([AVR]\d+) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = (MANIFEST_STEPS, LIST_STEPS, REFERRER_STEPS, SIGNATURE_STEPS, STATEMENT_STEPS, RELEASE_STEPS)
    assert written == [step.number for table in tables for step in table]


def test_each_step_is_a_function_named_after_its_number() -> None:
    for table in (MANIFEST_STEPS, LIST_STEPS, REFERRER_STEPS, SIGNATURE_STEPS, STATEMENT_STEPS, RELEASE_STEPS):
        for step in table:
            assert step.check.__name__.startswith(f"_step_{step.number.lower()}_")
            assert title_of(step.number) == step.title
    assert title_of("Z1") == "Z1"
    assert list(STEP_TITLES) == [f"A{number}" for number in range(1, 20)]


def raising(error: BaseException) -> list[Step[object]]:
    def check(_: object) -> None:
        raise error

    return [Step("T1", "it holds", check)]


@pytest.mark.parametrize(
    "error", [ValueError("secret"), KeyError("secret"), AssertionError("secret"), RecursionError()]
)
def test_any_exception_is_a_refusal_that_tells_its_class_alone(error: Exception) -> None:
    with pytest.raises(EvidenceRefused) as refused:
        run_steps(raising(error), None)
    reason = refused.value.reasons[0]
    assert (reason.code, reason.step, reason.found) == ("verification-error", "T1", type(error).__name__)
    assert "secret" not in str(reason.as_json())


def test_an_error_of_ours_keeps_its_code_and_gets_the_step() -> None:
    with pytest.raises(EvidenceRefused) as refused:
        run_steps(raising(StatementInvalid("no", code="subject-count", found="x\n" * 500, expected=1)), None)
    reason = refused.value.reasons[0]
    assert (reason.code, reason.step, reason.expected) == ("subject-count", "T1", "1")
    assert reason.found is not None
    assert len(reason.found) <= MAX_TEXT
    assert "\n" not in reason.found


def test_an_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_steps(raising(KeyboardInterrupt()), None)


def test_text_from_outside_is_one_printable_line_of_bounded_length() -> None:
    assert bounded(None) is None
    assert bounded("a\x1b[31mb\u202ec\n") == "a [31mb c "
    assert bounded("x" * 300) == "x" * (MAX_TEXT - 1) + "…"


def test_what_did_not_answer_is_not_a_refusal() -> None:
    with pytest.raises(Unreachable) as error:
        run_steps(raising(Unreachable("no answer")), None)
    assert error.value.reasons[0].code == "unreachable"
