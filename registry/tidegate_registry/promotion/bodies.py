"""What the routes of this room are sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from tidegate.digest import Digest
from tidegate.errors import ReferenceInvalid
from tidegate.formats.reference import parse_agent_name, parse_channel, parse_version
from tidegate_registry.api import In
from tidegate_registry.promotion.glass import GlassFinding

MAX_REASON = 2000  # characters; twice that fits where it is kept


def _agent(text: str) -> str:
    try:
        return parse_agent_name(text)
    except ReferenceInvalid as error:
        raise ValueError("is not `namespace/agent`") from error


def _version(text: str) -> str:
    try:
        return parse_version(text)
    except ReferenceInvalid as error:
        raise ValueError("is no semantic version") from error


def _channel(text: str) -> str:
    try:
        return parse_channel(text)
    except ReferenceInvalid as error:
        raise ValueError("is no name of a channel") from error


AgentText = Annotated[str, AfterValidator(_agent), Field(max_length=255, examples=["acme/support-agent"])]
VersionIn = Annotated[str, AfterValidator(_version), Field(max_length=128, examples=["1.2.0"])]
ChannelIn = Annotated[str, AfterValidator(_channel), Field(max_length=128, examples=["staging"])]
ReasonText = Annotated[
    str, Field(min_length=1, max_length=MAX_REASON, pattern=r"^[^\x00]*\S[^\x00]*$", examples=["it fixes the leak"])
]


class PromotionIn(In):
    """What is asked for. `breakGlass`: the caller means to sign a break-glass statement for it."""

    agent: AgentText
    version: VersionIn
    channel: ChannelIn
    reason: ReasonText | None = None
    break_glass: bool = False


class ApprovalIn(In):
    """A signed statement that was attached to the release before."""

    manifest: Digest = Field(description="Digest of the referrer that attaches it", examples=[Digest.of(b"")])


class ReasonIn(In):
    """Why."""

    reason: ReasonText


class WithdrawalIn(In):
    """Why, if anybody should know."""

    reason: ReasonText | None = None


class RollbackIn(In):
    """Where to; without a version to the last release that was healthy there. `breakGlass` as for a promotion."""

    version: VersionIn | None = None
    reason: ReasonText
    break_glass: bool = False


class RevocationIn(In):
    """Which release is withdrawn, and whether the channels that serve it are moved at once."""

    agent: AgentText
    version: VersionIn
    reason: ReasonText
    rollback: bool = False


class ReviewIn(In):
    """What a second person says of a use of break-glass."""

    verdict: GlassFinding
    reason: ReasonText
