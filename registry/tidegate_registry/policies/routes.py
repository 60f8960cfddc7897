"""Policies: what is in force, what was, what is proposed, and what that would change. HTTP only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import Field

from tidegate.policy.load import MAX_POLICY_BYTES
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.api import In, Paging, answer
from tidegate_registry.artifacts.http.strict import SHORT_JSON_BYTES, StrictJsonRoute
from tidegate_registry.policies import lists, service
from tidegate_registry.policies.errors import PolicyUnconditional
from tidegate_registry.policies.out import (
    PolicyListedOut,
    PolicyOut,
    PolicyPageOut,
    ProposalDetailOut,
    ProposalOut,
    ProposalPageOut,
    VersionOut,
    VersionPageOut,
    VersionTextOut,
    WhatIfOut,
    text_of,
    version_members,
)
from tidegate_registry.policies.what_if import DEFAULT_DECISIONS, MAX_DECISIONS, ask_what_if
from tidegate_registry.services import App


class PolicyRoute(StrictJsonRoute):
    """Takes any text that can be a policy: in JSON each end of a line and each quotation mark has two bytes."""

    most = 2 * MAX_POLICY_BYTES + SHORT_JSON_BYTES


router = APIRouter(prefix="/api/v1/policies", tags=["policies"], route_class=PolicyRoute)

MAX_REASON = 2000

PolicyName = Annotated[
    str, Path(max_length=255, examples=["_company"], description="`_company`, or the namespace of an overlay")
]
VersionNumber = Annotated[int, Path(ge=1, le=1_000_000_000, examples=[3])]
ProposalId = Annotated[str, Path(max_length=36, examples=["0190d7c0-0000-7000-8000-000000000000"])]
Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_REASON,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        examples=["two reviewers before stable"],
        description="Why",
    ),
]
Document = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_POLICY_BYTES,
        examples=["format: tidegate/policy/v1\n…"],
        description="The whole text, YAML or JSON",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=200,
        examples=['"3.2bf8790d0e898ad35671b6e85d7282ac"'],
        description="The `ETag` of the version that the edit was made from; of one in force",
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(max_length=200, examples=["*"], description="`*`: there is no version of this overlay yet")
]
Reader = Annotated[Principal, Depends(Requires(Permission.POLICY_READ))]
Proposer = Annotated[Principal, Depends(Requires(Permission.POLICY_PROPOSE))]
Approver = Annotated[Principal, Depends(Requires(Permission.POLICY_APPROVE))]
Applier = Annotated[Principal, Depends(Requires(Permission.POLICY_APPLY))]


class ProposalIn(In):
    """A change."""

    document: Document
    reason: Reason


class WhatIfIn(In):
    """A text to compare with what is in force."""

    document: Document
    decisions: int = Field(default=DEFAULT_DECISIONS, ge=0, le=MAX_DECISIONS, description="How many of the last ones")


class RevertIn(In):
    """A change back."""

    number: int = Field(ge=1, le=1_000_000_000, description="The version whose text shall be in force again")
    reason: Reason


@router.get("", operation_id="listPolicies", summary="List the policies in force", response_model=PolicyPageOut)
def list_policies(*, request: Request, app: App, who: Reader, page: Paging) -> Response:  # noqa: ARG001
    """The company-wide document, `_company`, and the overlays of namespaces."""
    found, following = lists.list_policies(app, after=page.after, size=page.size)
    items = [
        PolicyListedOut(**version_members(each.version), open_proposals=list(each.open_proposals)) for each in found
    ]
    return answer(request, PolicyPageOut(items=items, next=following))


@router.get("/{name}", operation_id="getPolicy", summary="Show a policy in force", response_model=PolicyOut)
def get_policy(*, name: PolicyName, request: Request, app: App, who: Reader) -> Response:  # noqa: ARG001
    """With its text. The `ETag` names the version: an edit of it is sent with that as `If-Match`."""
    found = lists.find_policy(app, name)
    body = PolicyOut(
        **version_members(found.version), open_proposals=list(found.open_proposals), text=text_of(found.version.text)
    )
    return answer(request, body, tag=found.version.tag)


@router.get(
    "/{name}/versions",
    operation_id="listPolicyVersions",
    summary="List the versions of a policy",
    response_model=VersionPageOut,
)
def list_versions(*, name: PolicyName, request: Request, app: App, who: Reader, page: Paging) -> Response:  # noqa: ARG001
    """All that were ever in force, the latest first."""
    found, following = lists.list_versions(app, name, after=page.after, size=page.size)
    return answer(
        request, VersionPageOut(items=[VersionOut(**version_members(each)) for each in found], next=following)
    )


@router.get(
    "/{name}/versions/{number}",
    operation_id="getPolicyVersion",
    summary="Show a version of a policy",
    response_model=VersionTextOut,
)
def get_version(
    *,
    name: PolicyName,
    number: VersionNumber,
    request: Request,
    app: App,
    who: Reader,  # noqa: ARG001
) -> Response:
    """With its text. A version is never edited."""
    with app.db.read() as tx:
        found = service.find_version(tx, name, number)
    return answer(request, VersionTextOut(**version_members(found), text=text_of(found.text)), tag=found.tag)


@router.get(
    "/{name}/proposals",
    operation_id="listPolicyProposals",
    summary="List the proposals for a policy",
    response_model=ProposalPageOut,
)
def list_proposals(*, name: PolicyName, request: Request, app: App, who: Reader, page: Paging) -> Response:  # noqa: ARG001
    """The latest first, whatever became of them."""
    found, following = lists.list_proposals(app, name, after=page.after, size=page.size)
    return answer(request, ProposalPageOut(items=[ProposalOut.of(each) for each in found], next=following))


@router.post(
    "/{name}/proposals",
    operation_id="proposePolicy",
    summary="Propose a change of a policy",
    status_code=201,
    responses={400: {}, 409: {}, 412: {}, 413: {}, 428: {}},
)
def post_proposal(
    *,
    name: PolicyName,
    body: ProposalIn,
    app: App,
    who: Proposer,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> ProposalOut:
    """Judged under the policy in force, never under this one. Where nobody else must agree, it is in force at once."""
    base = _base(app, name, if_match, if_none_match)
    return ProposalOut.of(service.propose(app, who, name, body.document.encode(), reason=body.reason, base=base))


@router.get(
    "/{name}/proposals/{proposal}",
    operation_id="getPolicyProposal",
    summary="Show a proposal",
    response_model=ProposalDetailOut,
)
def get_proposal(
    *,
    name: PolicyName,
    proposal: ProposalId,
    request: Request,
    app: App,
    who: Reader,  # noqa: ARG001
) -> Response:
    """With its text, and in sentences what it changes."""
    found, changed = lists.find_proposal(app, name, proposal)
    return answer(request, ProposalDetailOut.of(found, text=text_of(found.text), changes=list(changed)))


@router.post(
    "/{name}/proposals/{proposal}/approvals",
    operation_id="approvePolicy",
    summary="Agree to a proposal",
    status_code=201,
    responses={400: {}, 409: {}, 412: {}},
)
def post_approval(*, name: PolicyName, proposal: ProposalId, app: App, who: Approver) -> ProposalOut:
    """As a further person than the author. The last agreement that it needs puts it in force."""
    return ProposalOut.of(service.approve(app, who, name, proposal))


@router.post(
    "/{name}/proposals/{proposal}/application",
    operation_id="applyPolicy",
    summary="Put a proposal in force",
    responses={400: {}, 409: {}, 412: {}},
)
def post_application(*, name: PolicyName, proposal: ProposalId, app: App, who: Applier) -> ProposalOut:
    """That has all it needs. Everything is looked at again: roles, overlays, and who could change it afterwards."""
    return ProposalOut.of(service.apply(app, who, name, proposal))


@router.post(
    "/{name}/reverts",
    operation_id="revertPolicy",
    summary="Propose the text of an older version again",
    status_code=201,
    responses={400: {}, 409: {}, 412: {}, 428: {}},
)
def post_revert(*, name: PolicyName, body: RevertIn, app: App, who: Proposer, if_match: IfMatch = None) -> ProposalOut:
    """It becomes a new version by the same gate as every change."""
    base = _base(app, name, if_match, None)
    return ProposalOut.of(service.revert(app, who, name, body.number, reason=body.reason, base=base))


@router.post(
    "/{name}/what-if",
    operation_id="whatIfPolicy",
    summary="Say what a text would change",
    responses={400: {}, 409: {}, 413: {}, 429: {}},
)
def post_what_if(*, name: PolicyName, body: WhatIfIn, app: App, who: Proposer) -> WhatIfOut:
    """Makes the last decisions again, judges what every channel serves, compares who may do what. Changes nothing."""
    return WhatIfOut.of(ask_what_if(app, who, name, body.document.encode(), decisions=body.decisions))


def _base(app: App, name: str, if_match: str | None, if_none_match: str | None) -> int:
    """Read from which version an edit was made. Source: RFC 9110 sections 13.1.1 and 13.1.2, RFC 6585 section 3."""
    if if_match is not None:
        return service.number_of_tag(app, name, if_match.strip())
    if if_none_match == "*":
        return 0
    raise PolicyUnconditional(
        f"the edit does not say from which version of {name} it was made",
        expected="`If-Match` with the ETag of that version, or `If-None-Match: *` for a first overlay",
    )
