"""Direct uploads: what is missing, where to send it, and taking in what arrived. HTTP only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import AfterValidator, Field

from tidegate.digest import Digest
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.api import AgentName, In, Namespace, Out
from tidegate_registry.artifacts.direct import commit, plan
from tidegate_registry.artifacts.direct.blobs import Announced, State
from tidegate_registry.artifacts.http.strict import StrictJsonRoute
from tidegate_registry.artifacts.names import parse_repository
from tidegate_registry.services import App
from tidegate_registry.storage.blobs import PresignedPut
from tidegate_registry.storage.parts import MAX_OBJECT_BYTES, MAX_PARTS

router = APIRouter(
    prefix="/api/v1/agents/{namespace}/{agent}/uploads", tags=["direct uploads"], route_class=StrictJsonRoute
)

MAX_BLOBS = 1000  # of one request: a bundle rarely has a hundred
MAX_LINKS = 1000

Sender = Annotated[Principal, Depends(Requires(Permission.BLOB_PUSH))]
SessionId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$", description="The upload, as the plan named it")]


def _is_sha256(digest: Digest) -> Digest:
    if digest.algorithm != "sha256":
        raise ValueError("the store checks sha256 alone")
    return digest


Sha256 = Annotated[
    Digest, AfterValidator(_is_sha256), Field(description="`sha256:` and 64 digits", examples=[Digest.of(b"")])
]
Size = Annotated[int, Field(ge=0, le=MAX_OBJECT_BYTES, strict=True, description="Bytes")]


class BlobIn(In):
    """A blob that the caller has."""

    digest: Sha256
    size: Size


class PlanIn(In):
    """What the caller is about to send."""

    blobs: list[BlobIn] = Field(min_length=1, max_length=MAX_BLOBS)


class PutOut(Out):
    """A request to make to the store: `PUT` the bytes to `url` with exactly these headers, and no `Authorization`."""

    url: str
    headers: dict[str, str] = Field(description="Signed: without one of them the store answers 403")
    expires_at: datetime

    @classmethod
    def of(cls, put: PresignedPut) -> PutOut:
        """Show a link."""
        return cls(url=put.url, headers=dict(put.headers), expires_at=put.expires_at)


class MultipartOut(Out):
    """How a large blob is cut. Every part but the last has `partBytes`."""

    part_bytes: int
    parts: int


class PlannedOut(Out):
    """What to do with a blob: nothing if `present`; else `put` it, or send it in parts (`multipart`)."""

    digest: Sha256
    size: int
    state: State
    put: PutOut | None = None
    multipart: MultipartOut | None = None
    session: str | None = Field(default=None, description="To be named at commit, where there is one")

    @classmethod
    def of(cls, planned: plan.Planned) -> PlannedOut:
        """Show what was decided, and only that: members that do not apply are left out."""
        body = cls(digest=planned.blob.digest, size=planned.blob.size, state=planned.state)
        more: dict[str, object] = {}
        if planned.put is not None:
            more = {"put": PutOut.of(planned.put), "session": planned.session}
        elif planned.multipart is not None:
            more = {"multipart": MultipartOut.model_validate(planned.multipart), "session": planned.session}
        return body.model_copy(update=more)


class PlanOut(Out):
    """The plan, in the order in which the blobs were listed."""

    blobs: list[PlannedOut]


class PartIn(In):
    """A part about to be sent."""

    number: int = Field(ge=1, le=MAX_PARTS, strict=True)
    sha256: Sha256


class PartsIn(In):
    """Parts to be signed."""

    session: SessionId
    parts: list[PartIn] = Field(min_length=1, max_length=MAX_LINKS)


class PartPutOut(PutOut):
    """A request to make to the store, for one part."""

    number: int


class PartsOut(Out):
    """The links, in the order in which the parts were listed."""

    parts: list[PartPutOut]


class StoredPartOut(Out):
    """A part that the store holds."""

    number: int
    size: int


class ProgressOut(Out):
    """How far a session has come. `stored`: parts that need not be sent again."""

    digest: Sha256
    size: int
    multipart: MultipartOut | None
    stored: list[StoredPartOut]


class CommittedIn(BlobIn):
    """A blob that was sent."""

    session: SessionId | None = None


class CommitIn(In):
    """What has been sent."""

    blobs: list[CommittedIn] = Field(min_length=1, max_length=MAX_BLOBS)


class CommittedOut(Out):
    """Whether a blob is content of the agent now. `missing`: send it again, after another plan."""

    digest: Sha256
    state: State


class CommitOut(Out):
    """The outcome, in the order in which the blobs were listed."""

    blobs: list[CommittedOut]


REFUSALS: dict[int | str, dict[str, object]] = {code: {} for code in (400, 409, 413, 429)}


@router.post(
    "",
    operation_id="planUploads",
    summary="Ask which blobs are missing, and where to send them",
    response_model=PlanOut,
    response_model_exclude_unset=True,
    responses=REFUSALS,
)
def plan_uploads(
    *, namespace: Namespace, agent: AgentName, request: Request, body: PlanIn, app: App, who: Sender
) -> PlanOut:
    """Blobs of the agent, and of others of its namespace that the caller may read, are `present`. What was planned
    before goes on where it was.
    """
    blobs = [Announced(blob.digest, blob.size) for blob in body.blobs]
    found = plan.plan_uploads(app, who, _repository(namespace, agent), blobs, host=_host(request))
    return PlanOut(blobs=[PlannedOut.of(each) for each in found])


@router.post(
    "/parts",
    operation_id="signUploadParts",
    summary="Get links for parts of a large blob",
    response_model=PartsOut,
    responses={400: {}},
)
def sign_parts(
    *, namespace: Namespace, agent: AgentName, request: Request, body: PartsIn, app: App, who: Sender
) -> PartsOut:
    """A part may be sent again; the last one counts."""
    wanted = [(part.number, part.sha256) for part in body.parts]
    links = plan.sign_parts(app, who, _repository(namespace, agent), body.session, wanted, host=_host(request))
    parts = [
        PartPutOut(number=number, url=put.url, headers=dict(put.headers), expires_at=put.expires_at)
        for number, put in links
    ]
    return PartsOut(parts=parts)


@router.post(
    "/commit",
    operation_id="commitUploads",
    summary="Take in blobs that were sent",
    response_model=CommitOut,
    responses=REFUSALS,
)
def commit_uploads(*, namespace: Namespace, agent: AgentName, body: CommitIn, app: App, who: Sender) -> CommitOut:
    """All that arrived become content of the agent in one transaction. May be repeated."""
    blobs = [Announced(blob.digest, blob.size, blob.session) for blob in body.blobs]
    outcome = commit.commit_uploads(app, who, _repository(namespace, agent), blobs)
    return CommitOut(blobs=[CommittedOut(digest=blob.digest, state=state) for blob, state in outcome])


@router.get(
    "/{session}",
    operation_id="getUploadProgress",
    summary="Ask which parts of a large blob are stored",
    response_model=ProgressOut,
)
def get_progress(
    *,
    namespace: Namespace,
    agent: AgentName,
    session: Annotated[str, Path(description="The upload, as the plan named it")],
    app: App,
    who: Sender,
) -> ProgressOut:
    """For going on after a break."""
    found = plan.find_progress(app, who, _repository(namespace, agent), session)
    return ProgressOut(
        digest=found.blob.digest,
        size=found.blob.size,
        multipart=MultipartOut.model_validate(found.multipart) if found.multipart else None,
        stored=[StoredPartOut.model_validate(part) for part in found.stored],
    )


def _repository(namespace: str, agent: str) -> str:
    return parse_repository(f"{namespace}/{agent}")


def _host(request: Request) -> str:
    return request.headers.get("host", "")
