"""The token endpoint of the OCI registry, and whoami. HTTP only; `gatekeeper` does the work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from tidegate.errors import InvalidInput
from tidegate_registry.access.challenge import TOKEN_PATH
from tidegate_registry.access.credentials import (
    MAX_FORM_BYTES,
    credential_of_form,
    parse_basic,
    parse_form,
    parse_scopes,
    single,
)
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.access.tokens import IssuedToken
from tidegate_registry.access.whoami import describe_caller
from tidegate_registry.api import Out
from tidegate_registry.artifacts.http.body import read_body
from tidegate_registry.promotion.glass import all_unreviewed
from tidegate_registry.promotion.tables import BrokenGlassRow
from tidegate_registry.services import App

router = APIRouter()

MAX_OWED = 50  # reviews told to one caller; the rest is in the list of uses of break-glass
FORM = "application/x-www-form-urlencoded"


class TokenOut(BaseModel):
    """A registry token. `token` and `access_token` are the same. Source: Docker token spec, "Token Response Fields"."""

    token: str
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    expires_in: int
    issued_at: datetime
    scope: str


class StandingOut(Out):
    """What the caller is to the agents of one charter, and why."""

    agents: str
    standing: str
    why: str
    permissions: list[str]
    channels: list[str] = Field(description="Where their approval, or breaking the glass, counts; `*`: everywhere")


class PolicyRightOut(Out):
    """One thing that the policies in force let the caller ask for; each request is judged when it is made."""

    action: str = Field(examples=["promote"])
    roles: list[str] = Field(description="The caller's roles that allow it")
    agents: list[str] = Field(description="Of which agents")
    unless: list[str] = Field(description="But not of these, by their namespace's overlay")
    source: str | None = Field(description="From which channel; none: from nowhere")
    channels: list[str] = Field(description="To which channel, or in which ones")
    policy: str | None = Field(description="Which document may be edited")


class PolicyStandingOut(Out):
    """Who the caller is to the policies in force."""

    person: str | None = Field(description="The person that the policy knows the caller as")
    roles: list[str]
    rights: list[PolicyRightOut]


class CallerOut(Out):
    """The caller, as the registry sees them."""

    kind: str
    name: str
    identity: dict[str, object] | None
    attributes: Mapping[str, tuple[str, ...]]
    token_scope: str
    standings: list[StandingOut]
    policy: PolicyStandingOut


class OwedReviewOut(Out):
    """A use of break-glass that nobody has reviewed. After `reviewBy` it blocks the agent's next promotion."""

    id: str
    agent: str
    channel: str
    version: str
    person: str
    review_by: datetime

    @classmethod
    def of(cls, row: BrokenGlassRow) -> OwedReviewOut:
        """Show a use of break-glass."""
        shown = row.model_dump(include={"id", "channel", "version", "person", "review_by"})
        return cls(agent=row.repository, **shown)


class WhoamiOut(CallerOut):
    """The caller, and whose reviews somebody waits for among the agents that they may read."""

    debts: list[OwedReviewOut] = Field(
        description="Uses of break-glass that await a second person; at most 50, oldest first"
    )


class LoginOptionOut(Out):
    """One issuer at which a person can log in, and the public OAuth client to do it with."""

    issuer: str
    client_id: str
    scopes: list[str]


class LoginOptionsOut(Out):
    """How `tidegate login` gets a token for this registry."""

    registry: str
    options: list[LoginOptionOut]


async def _form(request: Request, app: App) -> Mapping[str, list[str]]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidInput("the token endpoint takes a form", code="form-invalid", expected=f"Content-Type: {FORM}")
    return parse_form(await read_body(request, most=MAX_FORM_BYTES, limits=app.settings.limits, what="a form"))


async def _gatekeeper(app: App) -> Gatekeeper:
    if not isinstance(app.access, Gatekeeper):  # a fake in tests of other rooms does not issue tokens
        raise InvalidInput("this registry issues no tokens", code="no-token-endpoint")
    return app.access


Gate = Annotated[Gatekeeper, Depends(_gatekeeper)]


@router.get(TOKEN_PATH, operation_id="getToken", summary="Exchange a credential for a registry token", tags=["access"])
def get_token(
    request: Request,
    response: Response,
    gate: Gate,
    scope: Annotated[
        list[str] | None,
        Query(description="What it will be used for; may be repeated", examples=[["repository:acme/agent:pull,push"]]),
    ] = None,
    service: Annotated[str | None, Query(description="As in `WWW-Authenticate`: this registry's URL")] = None,
) -> TokenOut:
    """Give a token for Basic credentials `oidc:TOKEN`. Other parameters, such as `account`, mean nothing here."""
    credential = parse_basic(request.headers.get("authorization"))
    issued = gate.exchange(credential, parse_scopes(scope or []), service=service)
    return _answer(issued, response)


@router.post(TOKEN_PATH, operation_id="postToken", summary="Exchange a credential, the OAuth2 way", tags=["access"])
def post_token(response: Response, gate: Gate, form: Annotated[Mapping[str, list[str]], Depends(_form)]) -> TokenOut:
    """Give a token for grant type `password` (user name `oidc`) or `refresh_token`, either with an OIDC token."""
    issued = gate.exchange(
        credential_of_form(form), parse_scopes(form.get("scope", [])), service=single(form, "service")
    )
    return _answer(issued, response)


@router.get("/api/v1/whoami", operation_id="whoami", summary="Who am I, and what may I do", tags=["access"])
def whoami(who: Annotated[Principal, Depends(Requires(Permission.ACCOUNT_READ))], gate: Gate, app: App) -> WhoamiOut:
    """Say how the registry reads the caller's token, what charters and policies give them, and what is owed."""
    gate.members.refresh()
    described = describe_caller(who, gate.charters(), gate.rules, gate.members.in_force())
    with app.db.read() as tx:
        owed = [row for row in all_unreviewed(tx) if gate.may(who, Permission.PROMOTION_READ, row.repository)]
    caller = CallerOut.model_validate(described).model_dump()
    return WhoamiOut(**caller, debts=[OwedReviewOut.of(row) for row in owed[:MAX_OWED]])


@router.get(
    "/api/v1/login-options", operation_id="listLoginOptions", summary="Where a person can log in", tags=["access"]
)
async def list_login_options(app: App) -> LoginOptionsOut:
    """List the issuers that have a client for `tidegate login`. Public: whoever asks has no token yet."""
    options = [
        LoginOptionOut(issuer=rule.issuer, client_id=rule.client_id, scopes=list(rule.login_scopes))
        for rule in app.settings.issuers
        if rule.client_id is not None
    ]
    return LoginOptionsOut(registry=app.settings.public_url, options=options)


def _answer(issued: IssuedToken, response: Response) -> TokenOut:
    response.headers["Cache-Control"] = "no-store"  # RFC 6749 section 5.1
    return TokenOut(
        token=issued.text,
        access_token=issued.text,
        expires_in=issued.expires_in,
        issued_at=issued.issued_at,
        scope=issued.scope,
    )
