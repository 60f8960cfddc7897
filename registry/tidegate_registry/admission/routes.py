"""Agents and their releases, to be read. HTTP only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from tidegate.digest import Digest
from tidegate.formats.charter import Charter
from tidegate.formats.reference import SEMVER_PATTERN, parse_version
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.deferred import PendingRelease, find_pending_release
from tidegate_registry.admission.diffs import compare_releases
from tidegate_registry.admission.diffs_out import DiffOut
from tidegate_registry.admission.lists import (
    ReleaseUnknown,
    find_agent,
    find_release,
    list_agents,
    list_releases,
    revoked_releases,
    shown_facts,
)
from tidegate_registry.api import AgentName, JsonDocument, Namespace, Out, Paging, VersionText, answer, written_as
from tidegate_registry.artifacts.naming import Release
from tidegate_registry.services import App

router = APIRouter(prefix="/api/v1", tags=["agents"])

Lister = Annotated[Principal, Depends(Requires(Permission.AGENT_LIST))]
AgentReader = Annotated[Principal, Depends(Requires(Permission.AGENT_READ))]
Before = Annotated[
    str,
    Query(
        alias="from",
        examples=["1.2.0"],
        description="The version that it is compared with",
        json_schema_extra=written_as(SEMVER_PATTERN),
    ),
]
After = Annotated[
    str,
    Query(
        alias="to",
        examples=["1.3.0"],
        description="The version that is looked at",
        json_schema_extra=written_as(SEMVER_PATTERN),
    ),
]
ReleaseReader = Annotated[Principal, Depends(Requires(Permission.RELEASE_READ))]


class AgentOut(Out):
    """An agent in a list."""

    name: str = Field(examples=["acme/support-agent"])
    released: bool = Field(description="Whether any version of it was ever admitted")


class AgentsOut(Out):
    """A page of agents. It may be short, or empty: only `next` tells whether there is more."""

    items: list[AgentOut]
    next: str | None


class CharterOut(Out):
    """The charter in force: whose signatures count."""

    agent: str = Field(description="What it covers")
    version: int
    digest: str
    publishers: list[str]
    attesters: list[str]

    @classmethod
    def of(cls, charter: Charter) -> CharterOut:
        """Name the rules; what they say is in the charter itself, which hosts have from elsewhere."""
        return cls(
            agent=charter.agent,
            version=charter.version,
            digest=charter.digest,
            publishers=[rule.name for rule in charter.publishers],
            attesters=[rule.name for rule in charter.attesters],
        )


class ReleaseOut(Out):
    """A manifest under a version. `decision`: what admission rested on and remembers for the next one; of who published
    it, only who that is.
    """

    state: Literal["admitted"] = "admitted"
    agent: str
    version: str
    digest: str
    admitted_at: datetime
    event_id: str = Field(description="The entry of the audit log that records it")
    decision: JsonDocument
    revoked: str | None = Field(description="Why it was withdrawn, if it was")

    @classmethod
    def of(cls, release: Release, revoked: Mapping[Digest, str]) -> ReleaseOut:
        """Show a release. `revoked`: why manifests of the agent were."""
        return cls(
            agent=release.repository,
            version=release.version,
            digest=release.digest,
            admitted_at=release.admitted_at,
            event_id=release.event_id,
            decision=shown_facts(release),
            revoked=revoked.get(release.digest),
        )


class ReasonOut(Out):
    """A requirement that is not met."""

    code: str
    message: str
    found: str | None
    expected: str | None
    hint: str | None
    step: str | None


class PendingOut(Out):
    """A version tag that came before its signature and waits for it: no release, and nothing to anybody else.

    `reasons`: every requirement that is not met now.
    """

    state: Literal["pending"] = "pending"
    agent: str
    version: str
    digest: str
    publisher: str = Field(description="Whose tag it is, and under whose right the version would be named")
    issuer: str = Field(description="The OIDC issuer that vouches for the publisher")
    tagged_at: datetime
    expires_at: datetime
    event_id: str = Field(description="The entry of the audit log that records the tag")
    reasons: list[ReasonOut]

    @classmethod
    def of(cls, found: PendingRelease) -> PendingOut:
        """Show a tag that waits."""
        tag = found.tag
        return cls(
            agent=tag.repository,
            version=tag.version,
            digest=tag.digest,
            publisher=tag.publisher.name,
            issuer=tag.publisher.issuer,
            tagged_at=tag.tagged_at,
            expires_at=tag.expires_at,
            event_id=tag.event_id,
            reasons=[ReasonOut.model_validate(reason) for reason in found.reasons],
        )


class ReleasesOut(Out):
    """A page of releases, the last admitted first."""

    items: list[ReleaseOut]
    next: str | None


class AgentDetailOut(AgentOut):
    """An agent. `latest`: the release that was admitted last, which need not be the greatest version."""

    charter: CharterOut | None
    latest: ReleaseOut | None


@router.get("/agents", operation_id="listAgents", summary="List agents", response_model=AgentsOut)
def get_agents(request: Request, app: App, who: Lister, page: Paging) -> Response:
    """In the order of their names; those with a release, and those the caller may publish to or attest for."""
    found, following = list_agents(app, who, after=page.after, size=page.size)
    return answer(request, AgentsOut(items=[AgentOut.model_validate(each) for each in found], next=following))


@router.get(
    "/agents/{namespace}/{agent}", operation_id="getAgent", summary="Show an agent", response_model=AgentDetailOut
)
def get_agent(*, namespace: Namespace, agent: AgentName, request: Request, app: App, who: AgentReader) -> Response:
    """Say whose signatures count for it and what was admitted last."""
    found = find_agent(app, who, f"{namespace}/{agent}")
    body = AgentDetailOut(
        name=found.agent.name,
        released=found.agent.released,
        charter=CharterOut.of(found.charter) if found.charter else None,
        latest=ReleaseOut.of(found.latest, revoked_releases(app, found.agent.name)) if found.latest else None,
    )
    return answer(request, body)


@router.get(
    "/agents/{namespace}/{agent}/releases",
    operation_id="listReleases",
    summary="List the releases of an agent",
    response_model=ReleasesOut,
)
def get_releases(
    *, namespace: Namespace, agent: AgentName, request: Request, app: App, who: ReleaseReader, page: Paging
) -> Response:
    """The last admitted first."""
    name = f"{namespace}/{agent}"
    found, following = list_releases(app, who, name, after=page.after, size=page.size)
    revoked = revoked_releases(app, name)
    return answer(request, ReleasesOut(items=[ReleaseOut.of(each, revoked) for each in found], next=following))


@router.get(
    "/agents/{namespace}/{agent}/releases/{version}",
    operation_id="getRelease",
    summary="Show a release",
    response_model=ReleaseOut | PendingOut,
)
def get_release(
    *, namespace: Namespace, agent: AgentName, version: VersionText, request: Request, app: App, who: ReleaseReader
) -> Response:
    """Say which manifest it is and what its admission rested on; of a version tag that waits for its signature, say to
    the agent's signers what it lacks.
    """
    name, wanted = f"{namespace}/{agent}", parse_version(version)
    try:
        release = find_release(app, who, name, wanted)
        return answer(request, ReleaseOut.of(release, revoked_releases(app, name)))
    except ReleaseUnknown:
        waiting = find_pending_release(app, who, name, wanted)
        if waiting is None:
            raise
        return answer(request, PendingOut.of(waiting))


@router.get(
    "/agents/{namespace}/{agent}/diff",
    operation_id="compareReleases",
    summary="Compare two releases of an agent",
    response_model=DiffOut,
)
def get_diff(
    *,
    namespace: Namespace,
    agent: AgentName,
    before: Before,
    after: After,
    request: Request,
    app: App,
    who: ReleaseReader,
) -> Response:
    """Say what changed, component by component, and which version step that demands. Answers are bounded: what was
    left out is counted.
    """
    found = compare_releases(app, who, f"{namespace}/{agent}", parse_version(before), parse_version(after))
    return answer(request, DiffOut.model_validate(found.as_json()))
