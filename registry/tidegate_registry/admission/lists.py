"""Agents and releases as a caller may see them. What they may not see is answered like what does not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import NotFound
from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import catalogue, naming
from tidegate_registry.artifacts.catalogue import Agent
from tidegate_registry.artifacts.naming import AUTHOR, Release
from tidegate_registry.promotion.revoked import revocations_of

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services


class AgentUnknown(NotFound):
    """There is no such agent, or nothing of it that the caller may see."""

    code = "agent-unknown"


class ReleaseUnknown(NotFound):
    """There is no such release of the agent."""

    code = "release-unknown"


@dataclass(frozen=True, slots=True)
class AgentDetail:
    """An agent, the charter that covers it, and the release admitted last."""

    agent: Agent
    charter: Charter | None
    latest: Release | None


def list_agents(app: Services, who: Principal, *, after: str, size: int) -> tuple[Sequence[Agent], str | None]:
    """Give a page; agents that the caller may not see are left out of it, so it may be short."""
    with app.db.read() as tx:
        found, following = catalogue.agents(tx, after=after, size=size)
    return [agent for agent in found if _visible(app, who, agent)], following


def find_agent(app: Services, who: Principal, name: str) -> AgentDetail:
    """Give an agent. Raises AgentUnknown."""
    with app.db.read() as tx:
        agent = _seen(app, tx, who, name)
        latest = naming.releases(tx, name, limit=1)
    charter = app.trust.charters().for_agent(name) if app.trust is not None else None
    return AgentDetail(agent, charter, latest[0] if latest else None)


def list_releases(
    app: Services, who: Principal, name: str, *, after: str, size: int
) -> tuple[Sequence[Release], str | None]:
    """Give a page, the last admitted first. Raises AgentUnknown."""
    with app.db.read() as tx:
        _seen(app, tx, who, name)
        return catalogue.releases_page(tx, name, after=after, size=size)


def find_release(app: Services, who: Principal, name: str, version: str) -> Release:
    """Give a release. Raises AgentUnknown, ReleaseUnknown."""
    with app.db.read() as tx:
        _seen(app, tx, who, name)
        found = naming.find_release(tx, name, version)
    if found is None:
        raise ReleaseUnknown("there is no such release", found=f"{name}:{version}")
    return found


def _seen(app: Services, tx: Tx, who: Principal, name: str) -> Agent:
    agent = catalogue.find_agent(tx, name)
    if agent is None or not _visible(app, who, agent):
        raise AgentUnknown("there is no such agent, or nothing of it that you may see", found=name)
    return agent


def _visible(app: Services, who: Principal, agent: Agent) -> bool:
    if not agent.released:
        return app.access.may(who, Permission.QUARANTINE_READ, agent.name)
    return app.access.may(who, Permission.AGENT_READ, agent.name)


def revoked_releases(app: Services, agent: str) -> Mapping[Digest, str]:
    """Say which manifests of an agent were revoked, and why."""
    with app.db.read() as tx:
        return revocations_of(tx, agent)


def shown_facts(release: Release) -> JsonObject:
    """Give what readers are shown of a release's facts: its author without the other claims of their token."""
    author = release.facts.get(AUTHOR)
    if not isinstance(author, dict):
        return release.facts
    return release.facts | {AUTHOR: {name: author[name] for name in ("kind", "issuer", "identity")}}
