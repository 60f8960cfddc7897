from __future__ import annotations

import subprocess
import sys

import pytest

from tests.client.policy.cel.library import NOW, judge
from tests.client.policy.cel.test_conditions_in_policies import policy
from tidegate.policy.lint import warnings_of
from tidegate.policy.load import load_policy


@pytest.fixture(autouse=True)
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cel_expr_python", "cel_expr_python.cel"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("text", ["predicate.passRate >= 0.95", "predicate.nonsense", "("])
def test_without_the_library_every_condition_loads_and_is_inconclusive(text: str) -> None:
    outcome = judge(text, {"passRate": 1.0})
    assert outcome.holds is None
    assert outcome.reason is not None
    assert outcome.reason.code == "cel-unavailable"
    assert outcome.reason.hint is not None
    assert "tidegate[policy]" in outcome.reason.hint


def test_importing_the_policy_engine_does_not_import_the_library() -> None:
    code = "import sys, tidegate.policy.cel.program; sys.exit(any('cel_expr' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_policy_loads_without_the_library_with_a_warning_for_each_condition() -> None:
    loaded = load_policy(policy("predicate.nonsense > 1"))
    assert [warning.code for warning in warnings_of(loaded, NOW) if warning.code == "cel-unavailable"] == [
        "cel-unavailable"
    ]
