"""Promotions, channels, rollbacks, revocations and broken glass. HTTP only."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from tidegate.formats.predicates.approval import Action
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.api import AgentName, Namespace, Paging, answer
from tidegate_registry.artifacts.http.answers import errors
from tidegate_registry.artifacts.http.strict import StrictJsonRoute
from tidegate_registry.promotion import closing, filing, lists, reviewing, revoking, rollback, service
from tidegate_registry.promotion.bodies import (
    ApprovalIn,
    PromotionIn,
    ReasonIn,
    ReviewIn,
    RevocationIn,
    RollbackIn,
    WithdrawalIn,
)
from tidegate_registry.promotion.out import (
    ChannelOut,
    ChannelsOut,
    DebtOut,
    DebtsOut,
    DecisionOut,
    DecisionsOut,
    LeftOut,
    PromotionOut,
    PromotionsOut,
    RevocationOut,
    RevocationsOut,
    RevokedOut,
)
from tidegate_registry.promotion.rollback import Back
from tidegate_registry.promotion.service import Wanted
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.services import App, Services

router = APIRouter(prefix="/api/v1", tags=["promotions"], route_class=StrictJsonRoute)

EXAMPLE_ID = "0190d7c0-0000-7000-8000-000000000000"

Requester = Annotated[Principal, Depends(Requires(Permission.PROMOTION_REQUEST))]
Reader = Annotated[Principal, Depends(Requires(Permission.PROMOTION_READ))]
DecisionReader = Annotated[Principal, Depends(Requires(Permission.DECISION_READ))]
Approver = Annotated[Principal, Depends(Requires(Permission.PROMOTION_APPROVE))]
Rejecter = Annotated[Principal, Depends(Requires(Permission.PROMOTION_REJECT))]
Withdrawer = Annotated[Principal, Depends(Requires(Permission.PROMOTION_WITHDRAW))]
ChannelReader = Annotated[Principal, Depends(Requires(Permission.CHANNEL_READ))]
Mover = Annotated[Principal, Depends(Requires(Permission.CHANNEL_ROLLBACK))]
Lifter = Annotated[Principal, Depends(Requires(Permission.CHANNEL_LIFT_HOLD))]
Revoker = Annotated[Principal, Depends(Requires(Permission.RELEASE_REVOKE))]
Reviewer = Annotated[Principal, Depends(Requires(Permission.BREAK_GLASS_REVIEW))]

PromotionId = Annotated[str, Path(max_length=64, examples=[EXAMPLE_ID])]
ChannelPath = Annotated[str, Path(max_length=128, examples=["stable"])]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Of the caller's own making: the same request under the same key is answered with what it opened",
    ),
]


def _shown(app: Services, who: Principal, promotion: str) -> PromotionOut:
    return PromotionOut.of(lists.find_promotion(app, who, promotion))


@router.post(
    "/promotions",
    operation_id="openPromotion",
    summary="Ask that a channel serve a release",
    status_code=201,
    response_model=PromotionOut,
    responses=errors(404, 409),
)
def post_promotion(body: PromotionIn, app: App, who: Requester, key: Key = None) -> PromotionOut:
    """Opens a request and decides it at once: it moves the channel if it lacks nothing, and else waits for what its
    findings list. It is refused where nothing could mend it. A newer request supersedes an older open one.
    """
    wanted = Wanted(
        body.agent, body.version, body.channel, Action.PROMOTE, body.reason, key, break_glass=body.break_glass
    )
    return _shown(app, who, service.open_promotion(app, who, wanted))


@router.get("/promotions", operation_id="listPromotions", summary="List requests", response_model=PromotionsOut)
def get_promotions(
    *,
    request: Request,
    app: App,
    who: Reader,
    page: Paging,
    agent: Annotated[str | None, Query(max_length=255, examples=["acme/support-agent"])] = None,
    channel: Annotated[str | None, Query(max_length=128, examples=["stable"])] = None,
    state: Annotated[PromotionState | None, Query(description="Only those that stand there")] = None,
) -> Response:
    """The last opened first."""
    found, following = lists.list_promotions(
        app, who, agent=agent, channel=channel, state=state, after=page.after, size=page.size
    )
    return answer(request, PromotionsOut(items=[PromotionOut.of(each) for each in found], next=following))


@router.get(
    "/promotions/{promotion}", operation_id="getPromotion", summary="Show a request", response_model=PromotionOut
)
def get_promotion(promotion: PromotionId, request: Request, app: App, who: Reader) -> Response:
    """Say what it lacks and who can supply it, as of its last decision."""
    return answer(request, _shown(app, who, promotion))


@router.get(
    "/promotions/{promotion}/decisions",
    operation_id="listDecisions",
    summary="List the decisions about a request",
    response_model=DecisionsOut,
)
def get_decisions(promotion: PromotionId, request: Request, app: App, who: DecisionReader, page: Paging) -> Response:
    """Each with its whole record, the last first."""
    found, following = lists.list_decisions(app, who, promotion, after=page.after, size=page.size)
    return answer(request, DecisionsOut(items=[DecisionOut.of(each) for each in found], next=following))


@router.post(
    "/promotions/{promotion}/approvals",
    operation_id="fileApproval",
    summary="File a signed approval, review or break-glass statement",
    status_code=201,
    response_model=PromotionOut,
    responses=errors(409),
)
def post_approval(promotion: PromotionId, body: ApprovalIn, app: App, who: Approver) -> PromotionOut:
    """The statement is attached to the release as a referrer before; who files it must be who signed it. The request
    is decided again, and carried out if it lacks nothing now.
    """
    filing.file_statement(app, who, promotion, body.manifest)
    return _shown(app, who, promotion)


@router.post(
    "/promotions/{promotion}/rejection",
    operation_id="rejectPromotion",
    summary="Reject a request",
    status_code=201,
    response_model=PromotionOut,
    responses=errors(409),
)
def post_rejection(promotion: PromotionId, body: ReasonIn, app: App, who: Rejecter) -> PromotionOut:
    """By an approver of the charter for that channel, or by a role that may ask for it."""
    closing.reject(app, who, promotion, reason=body.reason)
    return _shown(app, who, promotion)


@router.post(
    "/promotions/{promotion}/withdrawal",
    operation_id="withdrawPromotion",
    summary="Take a request back",
    status_code=201,
    response_model=PromotionOut,
    responses=errors(409),
)
def post_withdrawal(promotion: PromotionId, body: WithdrawalIn, app: App, who: Withdrawer) -> PromotionOut:
    """By who opened it, or by who may edit the policy."""
    closing.withdraw(app, who, promotion, reason=body.reason)
    return _shown(app, who, promotion)


@router.get(
    "/agents/{namespace}/{agent}/channels",
    operation_id="listChannels",
    summary="List the channels of an agent",
    response_model=ChannelsOut,
    tags=["channels"],
)
def get_channels(*, namespace: Namespace, agent: AgentName, request: Request, app: App, who: ChannelReader) -> Response:
    """In the order of the policy, with what each serves and what holds it up."""
    found = lists.list_channels(app, who, f"{namespace}/{agent}")
    return answer(request, ChannelsOut(items=[ChannelOut.of(each) for each in found]))


@router.get(
    "/agents/{namespace}/{agent}/channels/{channel}",
    operation_id="getChannel",
    summary="Show a channel",
    response_model=ChannelOut,
    tags=["channels"],
)
def get_channel(
    *, namespace: Namespace, agent: AgentName, channel: ChannelPath, request: Request, app: App, who: ChannelReader
) -> Response:
    """Say what it serves, what it served, and what holds it up."""
    return answer(request, ChannelOut.of(lists.find_channel(app, who, f"{namespace}/{agent}", channel)))


@router.post(
    "/agents/{namespace}/{agent}/channels/{channel}/rollback",
    operation_id="rollBack",
    summary="Move a channel back",
    status_code=201,
    response_model=PromotionOut,
    responses=errors(409),
    tags=["channels"],
)
def post_rollback(
    *,
    namespace: Namespace,
    agent: AgentName,
    channel: ChannelPath,
    body: RollbackIn,
    app: App,
    who: Mover,
    key: Key = None,
) -> PromotionOut:
    """At once within the charter's window, also during a freeze; beyond it, and to what a rollback left, the request
    waits for approvers. What is left is held: it is not promoted there again until a human lifts that.
    """
    repository = f"{namespace}/{agent}"
    wanted = Back(repository, channel, body.version, body.reason, key, break_glass=body.break_glass)
    found = rollback.roll_back(app, who, wanted)
    return _shown(app, who, found)


@router.delete(
    "/agents/{namespace}/{agent}/channels/{channel}/hold",
    operation_id="liftHold",
    summary="Let a channel go again to what a rollback left",
    response_model=ChannelOut,
    tags=["channels"],
)
def delete_hold(
    *, namespace: Namespace, agent: AgentName, channel: ChannelPath, body: ReasonIn, app: App, who: Lifter
) -> ChannelOut:
    """By a role that may ask for the channel; what waits for it is decided again."""
    repository = f"{namespace}/{agent}"
    closing.lift_holds(app, who, repository, channel, reason=body.reason)
    return ChannelOut.of(lists.find_channel(app, who, repository, channel))


@router.post(
    "/revocations",
    operation_id="revokeRelease",
    summary="Withdraw a release",
    status_code=201,
    response_model=RevokedOut,
    responses=errors(404, 409),
    tags=["channels"],
)
def post_revocation(body: RevocationIn, app: App, who: Revoker) -> RevokedOut:
    """For ever: it is promoted nowhere, pulls by version are refused, pulls by digest carry a warning. The answer lists
    the channels that served it; with `rollback` they are moved, each by its own decision.
    """
    row, left = revoking.revoke(app, who, body.agent, body.version, reason=body.reason, rollback=body.rollback)
    shown = RevocationOut.of(row).model_dump()
    return RevokedOut(**shown, channels=[LeftOut.of(each) for each in left])


@router.get(
    "/revocations",
    operation_id="listRevocations",
    summary="List revocations",
    response_model=RevocationsOut,
    tags=["channels"],
)
def get_revocations(
    *,
    request: Request,
    app: App,
    who: Reader,
    page: Paging,
    agent: Annotated[str | None, Query(max_length=255, examples=["acme/support-agent"])] = None,
) -> Response:
    """The last first; those of agents that the caller may see."""
    found, following = revoking.list_revocations(app, who, agent=agent, after=page.after, size=page.size)
    return answer(request, RevocationsOut(items=[RevocationOut.of(each) for each in found], next=following))


@router.get(
    "/break-glass",
    operation_id="listBreakGlass",
    summary="List uses of break-glass",
    response_model=DebtsOut,
    tags=["channels"],
)
def get_break_glass(
    *,
    request: Request,
    app: App,
    who: Reader,
    page: Paging,
    unreviewed: Annotated[
        Literal["true", "false"], Query(alias="open", description="Only those that nobody has reviewed")
    ] = "false",
) -> Response:
    """The last first."""
    found, following = lists.list_broken_glass(
        app, who, unreviewed=unreviewed == "true", after=page.after, size=page.size
    )
    return answer(request, DebtsOut(items=[DebtOut.of(each) for each in found], next=following))


@router.post(
    "/break-glass/{promotion}/review",
    operation_id="reviewBreakGlass",
    summary="Review a use of break-glass",
    status_code=201,
    response_model=DebtOut,
    responses=errors(409),
    tags=["channels"],
)
def post_review(promotion: PromotionId, body: ReviewIn, app: App, who: Reviewer) -> DebtOut:
    """By a second person with a role that the policy names; whatever they find, the debt is paid."""
    reviewing.review(app, who, promotion, finding=body.verdict, reason=body.reason)
    return DebtOut.of(lists.find_broken_glass(app, promotion))
