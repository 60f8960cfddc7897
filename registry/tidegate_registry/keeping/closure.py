"""Which manifests of an agent stay, given those that must. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class Node:
    """A manifest of an agent. `size`: of its bytes; `members`: the manifests that it names and that are there."""

    digest: str
    subject: str | None
    released: bool
    size: int
    since: datetime
    members: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long what nobody needs is kept all the same."""

    quarantine: timedelta
    orphan: timedelta


def reach(nodes: Mapping[str, Node], roots: Collection[str]) -> set[str]:
    """Give the closure of `roots`: what each names, what it is about, and whatever refers to either.

    A subject that is not there holds its referrers together all the same: evidence is recorded for one of them only.
    """
    referrers: dict[str, list[str]] = {}
    for node in nodes.values():
        if node.subject is not None:
            referrers.setdefault(node.subject, []).append(node.digest)
    seen: set[str] = set()
    frontier = {root for root in roots if root in nodes}
    while frontier:
        seen |= frontier
        near: set[str] = set()
        for digest in frontier:
            node = nodes[digest]
            near |= node.members
            near.update(referrers.get(digest, ()))
            if node.subject is not None:
                near.update({node.subject} & nodes.keys(), referrers[node.subject])
        frontier = near - seen
    return seen


def decide_removals(
    nodes: Mapping[str, Node],
    roots: Collection[str],
    *,
    in_use: Collection[str],
    terms: Terms,
    forget: Collection[str],
    now: datetime,
) -> dict[str, str]:
    """Give the manifests that may go, each with the reason. `forget`: those whose time counts as over.

    A root, a released manifest, one in use and one whose time is not over stay, with all they reach.
    """
    alive = {digest for digest, node in nodes.items() if node.released} | set(roots) | set(in_use)
    reasons: dict[str, str] = {}
    for digest, node in nodes.items():
        orphan = node.subject is not None and node.subject not in nodes
        term = terms.orphan if orphan else terms.quarantine
        if digest in forget:
            reasons[digest] = "in quarantine, and an operator named it"
        elif node.since >= now - term:
            alive.add(digest)
        elif orphan:
            reasons[digest] = f"its subject did not come for {_hours(term)}"
        else:
            reasons[digest] = f"in quarantine for more than {_hours(term)}"
    kept = reach(nodes, alive)
    return {digest: why for digest, why in reasons.items() if digest not in kept}


def parents_first(nodes: Mapping[str, Node], some: Collection[str]) -> list[str]:
    """Order `some` so that each comes before what it names: whatever prefix of it goes, the rest is complete."""
    named = dict.fromkeys(some, 0)
    for digest in some:
        for member in nodes[digest].members & named.keys():
            named[member] += 1
    ready = sorted((digest for digest, count in named.items() if not count), reverse=True)
    ordered: list[str] = []
    while ready:
        ordered.append(digest := ready.pop())
        for member in sorted(nodes[digest].members & named.keys()):
            named[member] -= 1
            if not named[member]:
                ready.append(member)
    return ordered


def _hours(term: timedelta) -> str:
    return f"{term // timedelta(hours=1)} hours"
