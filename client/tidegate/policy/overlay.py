"""Overlays: what one namespace asks beyond the company-wide policy. An overlay may only add.

Pure. Whatever could loosen the company's rules is refused here, with its path. What is left joins a transition's own
requirements and narrows who may ask; it can do nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidegate.errors import Reason
from tidegate.formats.yamldoc import PathInside, YamlDocument
from tidegate.policy.agents import covers, overlap, within
from tidegate.policy.crosscheck import Mistakes, Vocabulary, check_publishers, check_requirements
from tidegate.policy.model import EVERY_AGENT, AddedTransition, Freeze, PolicyDocument, PolicyOverlay, Transition

ONLY_ADDS = "an overlay may only add"


def check_overlay(base: PolicyDocument, overlay: PolicyOverlay, source: YamlDocument) -> tuple[Reason, ...]:
    """Give every mistake of an overlay to `base`, each way to loosen it among them."""
    mistakes = Mistakes(source)
    names = Vocabulary({*base.roles, *overlay.roles}, {*base.signers, *overlay.signers}, base.channels)
    _check_new(("roles",), overlay.roles, base.roles, "role", mistakes)
    _check_new(("signers",), overlay.signers, base.signers, "signer", mistakes)
    check_publishers(overlay.publishers, names, mistakes)
    for index, entry in enumerate(overlay.publishers):
        _check_agents(("publishers", index, "agents"), entry.agents, overlay.namespace, mistakes)
    _check_freezes(base, overlay, mistakes)
    for index, added in enumerate(overlay.transitions):
        _check_transition(base, overlay.namespace, added, ("transitions", index), mistakes)
        where: PathInside = ("transitions", index, "require")
        check_requirements(where, added.require, added.from_, names, mistakes)
    _check_ids(base, overlay, mistakes)
    return mistakes.reasons


def freezes_of(overlay: PolicyOverlay) -> tuple[Freeze, ...]:
    """Give an overlay's freezes; one about all agents is about all of the namespace."""
    return tuple(
        freeze.model_copy(update={"agents": (f"{overlay.namespace}/*",)}) if freeze.agents == EVERY_AGENT else freeze
        for freeze in overlay.freezes
    )


def additions_for(overlay: PolicyOverlay, agent: str, source: str | None, channel: str) -> tuple[int, ...]:
    """Say which of the overlay's transitions add to the one along this edge; all of them count together."""
    if not within(agent, f"{overlay.namespace}/*"):
        return ()
    return tuple(
        index
        for index, added in enumerate(overlay.transitions)
        if (added.from_, added.to) == (source, channel) and (added.agents is None or covers(added.agents, agent))
    )


def narrowed(allow: Sequence[str], added: Sequence[AddedTransition]) -> tuple[str, ...]:
    """Give the roles that may still ask once every addition has had its say."""
    return tuple(role for role in allow if all(one.allow is None or role in one.allow for one in added))


def _check_new(path: PathInside, given: Collection[str], taken: Collection[str], what: str, mistakes: Mistakes) -> None:
    for name in given:
        if name in taken:
            mistakes.add(
                (*path, name),
                f"{ONLY_ADDS}: the policy has a {what} of this name",
                expected=f"a name that is no {what} of the policy",
                hint=f"give it a name of its own, such as {name}-here"[:160],
            )


def _check_agents(path: PathInside, patterns: Sequence[str], namespace: str, mistakes: Mistakes) -> None:
    for index, pattern in enumerate(patterns):
        if not within(pattern, f"{namespace}/*"):
            mistakes.add(
                (*path, index),
                f"{ONLY_ADDS} for its own namespace",
                found=pattern,
                expected=f"{namespace}/* or one of its agents",
            )


def _check_freezes(base: PolicyDocument, overlay: PolicyOverlay, mistakes: Mistakes) -> None:
    taken = {freeze.name for freeze in base.freezes}
    mistakes.once(("freezes",), [freeze.name for freeze in overlay.freezes], "name", "freeze")
    for index, freeze in enumerate(overlay.freezes):
        path: PathInside = ("freezes", index)
        if freeze.name in taken:
            mistakes.add((*path, "name"), f"{ONLY_ADDS}: the policy has a freeze of this name", found=freeze.name)
        mistakes.all_known((*path, "channels"), freeze.channels, base.channels, "channel")
        if freeze.agents != EVERY_AGENT:  # which is what a freeze means that names none
            _check_agents((*path, "agents"), freeze.agents, overlay.namespace, mistakes)


def _check_transition(
    base: PolicyDocument, namespace: str, added: AddedTransition, path: PathInside, mistakes: Mistakes
) -> None:
    patterns = added.agents or (f"{namespace}/*",)
    _check_agents((*path, "agents"), added.agents or (), namespace, mistakes)
    on_edge = [
        transition
        for transition in base.transitions
        if (transition.from_, transition.to) == (added.from_, added.to)
        and any(overlap(one, other) for one in patterns for other in transition.agents)
    ]
    if not on_edge:
        edges = dict.fromkeys(transition.edge for transition in base.transitions)
        mistakes.add(
            path,
            f"{ONLY_ADDS} to the policy's transitions, and it has none there for these agents",
            found=Transition.edge_of(added.from_, added.to),
            expected=f"one of {', '.join(edges)}",
        )
        return
    if added.allow is None:
        return
    roles = {role for transition in on_edge for role in transition.allow}
    if not added.allow:
        mistakes.add((*path, "allow"), "names nobody: no one could ask", expected=f"some of {', '.join(sorted(roles))}")
    for index, role in enumerate(added.allow):
        if role not in roles:
            mistakes.add(
                (*path, "allow", index),
                f"{ONLY_ADDS}: the policy does not let this role ask",
                found=role,
                expected=f"some of {', '.join(sorted(roles))}",
            )


def _check_ids(base: PolicyDocument, overlay: PolicyOverlay, mistakes: Mistakes) -> None:
    """Ids are one name space: an exception that the company grants must never mean an overlay's requirement too."""
    taken = {requirement.id for transition in base.transitions for requirement in transition.require}
    seen: dict[tuple[str | None, str, str], int] = {}
    for index, added in enumerate(overlay.transitions):
        for number, requirement in enumerate(added.require):
            path: PathInside = ("transitions", index, "require", number, "id")
            if requirement.id in taken:
                mistakes.add(
                    path,
                    f"{ONLY_ADDS}: the policy has a requirement of this id",
                    found=requirement.id,
                    hint="give it an id of its own",
                )
            elif seen.setdefault((added.from_, added.to, requirement.id), index) != index:
                mistakes.add(path, "another requirement of this transition has this id already", found=requirement.id)
