"""Version steps: which one is taken, which one does, and by what a version is measured."""

from __future__ import annotations

import pytest

from tidegate.bundle.diff.step import (
    MAX_LINES,
    Step,
    greatest_below,
    next_version,
    taken_step,
    version_step,
)
from tidegate.formats.reference import version_key

NONE, PATCH, MINOR, MAJOR = Step


def test_versions_precede_each_other_as_the_specification_of_semver_lists_them() -> None:
    listed = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    backwards = listed[::-1]
    assert sorted(backwards, key=version_key) == listed
    assert sorted(["1.10.0", "1.9.0", "2.0.0"], key=version_key) == ["1.9.0", "1.10.0", "2.0.0"]


@pytest.mark.parametrize(
    ("base", "version", "step"),
    [
        ("1.2.3", "1.2.3", NONE),
        ("1.2.3", "1.2.4", PATCH),
        ("1.2.3", "1.4.0", MINOR),
        ("1.2.3", "2.0.0", MAJOR),
        ("1.2.3", "2.0.0-rc.1", MAJOR),
        ("1.2.3", "1.2.2", None),
        ("2.0.0-rc.1", "2.0.0-rc.2", None),
        ("2.0.0-rc.1", "2.0.0", None),
    ],
)
def test_a_step_is_taken(base: str, version: str, step: Step | None) -> None:
    assert taken_step(base, version) is step


@pytest.mark.parametrize(
    ("base", "demanded", "version"),
    [
        ("1.2.3", MAJOR, "2.0.0"),
        ("1.2.3", MINOR, "1.3.0"),
        ("1.2.3", PATCH, "1.2.4"),
        ("1.2.3", NONE, "1.2.3"),
        ("0.2.3", MAJOR, "0.3.0"),
        ("0.2.3", MINOR, "0.2.4"),
        ("2.0.0-rc.1", MAJOR, "2.0.0"),
    ],
)
def test_the_least_version_that_does_is_proposed(base: str, demanded: Step, version: str) -> None:
    assert next_version(base, demanded) == version
    judged = version_step(base, version, [(demanded, "it")])
    assert judged.proposed == version
    assert judged.enough


def test_a_small_step_lists_what_demands_more_and_nothing_else() -> None:
    demands = [(MAJOR, "broken"), (MINOR, "more"), (PATCH, "other"), (NONE, "words")]
    assert version_step("1.0.0", "1.0.1", demands).lines == ("broken", "more")
    assert version_step("1.0.0", "1.1.0", demands).lines == ("broken",)
    assert version_step("1.0.0", "2.0.0", demands).lines == ("broken",)
    assert version_step("0.1.0", "0.1.1", demands).lines == ("broken",)
    assert not version_step("0.1.0", "0.1.1", demands).enough
    assert version_step("0.1.0", "0.2.0", demands).enough
    many = version_step("1.0.0", "1.0.1", [(MAJOR, str(number)) for number in range(MAX_LINES + 5)])
    assert (len(many.lines), many.omitted) == (MAX_LINES, 5)


def test_a_version_is_measured_by_the_greatest_release_below_it() -> None:
    released = ["1.2.3", "1.10.0", "2.0.0", "2.1.0-rc.1", "1.2.4-rc.1"]
    assert greatest_below("2.1.0", released) == "2.0.0"
    assert greatest_below("2.1.0-rc.2", released) == "2.0.0"
    assert greatest_below("1.2.4", released) == "1.2.3"
    assert greatest_below("1.11.0", released) == "1.10.0"
    assert greatest_below("1.0.0", released) is None
