"""What tests of conditions need: the library, and a release and a time to evaluate them with."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Final

import pytest

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.policy.cel.program import Outcome, compile_when

needs_library = pytest.mark.skipif(
    find_spec("cel_expr_python") is None, reason="the extra tidegate[policy] is not installed"
)

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
RELEASE: Final[JsonObject] = {
    "agent": "acme/support",
    "version": "1.2.0",
    "namespace": "acme",
    "channel": "stable",
    "source": "staging",
    "opaque": False,
}


def judge(text: str, predicate: JsonObject, *, of: str = PREDICATE_EVALUATION) -> Outcome:
    """Evaluate a condition over `predicate`, without a baseline."""
    return compile_when(text, of, with_baseline=False).evaluate(predicate, None, RELEASE, NOW)
