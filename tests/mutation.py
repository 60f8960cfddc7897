"""A pytest plugin that takes one numbered step out of the product, to see that an attack then gets through.

`pytest -p tests.mutation --without-step A15 tests/attacks` must fail. Steps stand in tables, each with its number and
its check; the check of the one named is replaced by one that looks at nothing. Used by scripts/mutate.py alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

PACKAGES = (
    "tidegate.verify",
    "tidegate.bundle",
    "tidegate.policy",
    "tidegate.tlog",
    "tidegate.auditor",
    "tidegate_registry.access",
    "tidegate_registry.evidence",
)


def step_tables() -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Give module, attribute and value of every table of steps."""
    for package in PACKAGES:
        for info in walk_packages(import_module(package).__path__, f"{package}."):
            module = import_module(info.name)
            for name, value in vars(module).items():
                if isinstance(value, tuple) and value and all(_check_of(item) for item in value):
                    yield module.__name__, name, value


def _check_of(item: object) -> str | None:
    """Give the field of a step that holds its check; None for what is no step."""
    return next((name for name in ("check", "unmet") if hasattr(item, "number") and hasattr(item, name)), None)


def step_numbers() -> list[str]:
    """Give the numbers of all steps, in the order of their tables."""
    return list(dict.fromkeys(step.number for _, _, table in step_tables() for step in table))


def _looks_at_nothing(*_: object) -> tuple[()]:
    """Stand in for a check, of the kind that raises and of the kind that gives reasons."""
    return ()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of the step."""
    parser.addoption("--without-step", required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Replace the step wherever its table is known by a name."""
    number = config.getoption("--without-step")
    touched = 0
    for module, name, table in list(step_tables()):
        if any(step.number == number for step in table):
            mutant = tuple(
                replace(step, **{str(_check_of(step)): _looks_at_nothing}) if step.number == number else step
                for step in table
            )
            setattr(sys.modules[module], name, mutant)
            touched += 1
    if not touched:
        raise pytest.UsageError(f"there is no step {number}")
