"""Patterns over agent names, as policies write them: `namespace/agent`, where either part may be `*`."""

from __future__ import annotations

from collections.abc import Iterable


def covers(patterns: Iterable[str], agent: str) -> bool:
    """Whether one of the patterns is about `agent`."""
    return any(within(agent, pattern) for pattern in patterns)


def within(inner: str, outer: str) -> bool:
    """Whether every agent that the pattern `inner` means is one that `outer` means."""
    return all(wide in ("*", narrow) for narrow, wide in zip(inner.split("/"), outer.split("/"), strict=True))


def overlap(one: str, other: str) -> bool:
    """Whether there could be an agent that both patterns mean."""
    return all(
        left == right or "*" in (left, right) for left, right in zip(one.split("/"), other.split("/"), strict=True)
    )


def shadowed(patterns: Iterable[str], earlier: Iterable[str]) -> bool:
    """Whether the `earlier` patterns leave nothing that `patterns` could still match."""
    before = tuple(earlier)
    return all(any(within(pattern, wide) for wide in before) for pattern in patterns)
