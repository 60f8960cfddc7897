from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegate.policy.model import Rollout, RolloutStep
from tidegate.policy.rollout import not_full_before

BEGUN = datetime(2026, 6, 1, 12, 0, 0, 123, tzinfo=UTC)


def test_everybody_is_served_after_all_holds() -> None:
    steps = (RolloutStep(percent=5, hold="1h"), RolloutStep(percent=25, hold="4h"), RolloutStep(percent=100))
    assert not_full_before(Rollout(steps=steps), BEGUN) == BEGUN.replace(microsecond=0) + timedelta(hours=5)


def test_without_a_rollout_everybody_is_served_at_once() -> None:
    assert not_full_before(None, BEGUN) == BEGUN.replace(microsecond=0)
