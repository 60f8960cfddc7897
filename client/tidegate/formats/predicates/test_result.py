"""Tests that were run: in-toto's test-result predicate, version 0.1.

Source: in-toto attestation, spec/predicates/test-result.md. It is others' form, so unknown members are let pass. Spec
page: docs/spec/evidence-of-others.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.members import MAX_TEXT_CHARACTERS, Members

MAX_TESTS: Final = 20_000
MAX_TESTS_IN_VIEW: Final = 2_000
RESULTS: Final = ("PASSED", "WARNED", "FAILED")


@dataclass(frozen=True, slots=True)
class TestResultPredicate:
    """One run of a test suite: what came of it, and which tests passed, warned and failed, as far as it says."""

    __test__ = False  # pytest takes every class of that name for tests

    result: str
    passed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    url: str | None = None

    @classmethod
    def parse(cls, predicate: JsonObject) -> TestResultPredicate:
        """Read the predicate. Raises StatementInvalid (code "test-result-malformed").

        A result of PASSED beside failed tests is refused: it contradicts itself.
        """
        members = Members(predicate, "test-result-malformed", "the test result cannot be read")
        found = cls(
            result=members.choice("result", RESULTS),
            passed=members.texts("passedTests", MAX_TESTS, MAX_TEXT_CHARACTERS),
            warned=members.texts("warnedTests", MAX_TESTS, MAX_TEXT_CHARACTERS),
            failed=members.texts("failedTests", MAX_TESTS, MAX_TEXT_CHARACTERS),
            url=members.text("url") if members.has("url") else None,
        )
        if found.failed and found.result != "FAILED":
            raise members.refusal("tests failed, and the result does not say so", found.result, "FAILED")
        return found

    def as_json(self) -> JsonObject:
        """Give the predicate; which configuration was used is not read, so none is given."""
        result: JsonObject = {
            "result": self.result,
            "configuration": [],
            "passedTests": list(self.passed),
            "warnedTests": list(self.warned),
            "failedTests": list(self.failed),
        }
        return result | ({} if self.url is None else {"url": self.url})

    def view(self) -> JsonObject:
        """Give what policies read: the result, the counts, and the names."""
        result: JsonObject = {
            "result": self.result,
            "passed": len(self.passed),
            "warned": len(self.warned),
            "failed": len(self.failed),
        }
        lists = (("passedTests", self.passed), ("warnedTests", self.warned), ("failedTests", self.failed))
        # a list that is too long is left out: a condition that found nothing in a part of it would be wrong
        result |= {name: list(tests) for name, tests in lists if len(tests) <= MAX_TESTS_IN_VIEW}
        return result | ({} if self.url is None else {"url": self.url})
