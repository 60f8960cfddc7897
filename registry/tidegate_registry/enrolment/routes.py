"""Enrolment tokens over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.api import In, Out
from tidegate_registry.artifacts.http.strict import StrictJsonRoute
from tidegate_registry.enrolment.service import (
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    MAX_TOKEN_CHARACTERS,
    Purpose,
    make_enrolment,
    redeem_enrolment,
)
from tidegate_registry.services import App

router = APIRouter(prefix="/api/v1/enrolments", tags=["access"], route_class=StrictJsonRoute)

EnrolledName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$",
        max_length=255,
        examples=["edge-berlin-07"],
        description="What is brought in",
    ),
]


class EnrolmentIn(In):
    """What a token is to be good for."""

    purpose: Purpose
    name: EnrolledName
    expires_in_seconds: int = Field(
        default=int(DEFAULT_LIFETIME.total_seconds()),
        ge=60,
        le=int(MAX_LIFETIME.total_seconds()),
        description="How long it may be used",
    )


class EnrolmentOut(Out):
    """A token, shown this one time."""

    id: str
    purpose: Purpose
    name: str
    token: str = Field(examples=["tdge_0190d7c0-0000-7000-8000-000000000000_…"])
    expires_at: datetime
    event_id: str


class RedemptionIn(In):
    """A token, and what it is shown for."""

    token: str = Field(max_length=MAX_TOKEN_CHARACTERS, examples=["tdge_0190d7c0-0000-7000-8000-000000000000_…"])
    purpose: Purpose
    name: EnrolledName


class RedemptionOut(Out):
    """What the token was good for; it is used up."""

    id: str
    purpose: Purpose
    name: str
    redeemed_at: datetime
    event_id: str


@router.post("", status_code=201, operation_id="createEnrolment", summary="Make a token that counts once")
def post_enrolment(
    body: EnrolmentIn,
    response: Response,
    app: App,
    who: Annotated[Principal, Depends(Requires(Permission.ENROLMENT_CREATE))],
) -> EnrolmentOut:
    """Make a token with which a machine without an identity is brought in. It is shown here and never again."""
    lifetime = timedelta(seconds=body.expires_in_seconds)
    made = make_enrolment(app, who, purpose=body.purpose, name=body.name, lifetime=lifetime)
    response.headers["Cache-Control"] = "no-store"
    return EnrolmentOut.model_validate(made)


@router.post("/redemption", operation_id="redeemEnrolment", summary="Use a token up")
def post_redemption(body: RedemptionIn, response: Response, app: App) -> RedemptionOut:
    """Use a token up. Public: the token is the credential. Whatever is wrong with one, the answer is the same."""
    response.headers["Cache-Control"] = "no-store"
    redeemed = redeem_enrolment(app, body.token, purpose=body.purpose, name=body.name)
    return RedemptionOut.model_validate(redeemed)
