"""How long a rollout takes at the least. Pure. Source: docs/spec/approval.md, `notFullBefore`."""

from __future__ import annotations

from datetime import datetime, timedelta

from tidegate.policy.model import Rollout


def not_full_before(rollout: Rollout | None, begun: datetime) -> datetime:
    """Give the moment before which a rollout that is `begun` then serves not everybody: after all holds of its steps.

    Without a rollout that is `begun` itself. Parts of a second are cut.
    """
    holds = [step.hold for step in rollout.steps if step.hold is not None] if rollout is not None else []
    return begun.replace(microsecond=0) + sum(holds, timedelta())
