"""What the routes under /api/v1/ share: how answers are spelt, paged and cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from tidegate.formats.reference import SEMVER_PATTERN

JsonDocument = dict[str, JsonValue]  # a JSON object in an answer; pydantic cannot read our own recursive type

DEFAULT_PAGE, MAX_PAGE = 50, 200
MAX_CURSOR = 255  # the longest agent name


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list that was asked for: at most `size` entries after the cursor `after`."""

    after: str
    size: int


async def _page(
    after: Annotated[
        str, Query(max_length=MAX_CURSOR, description="`next` of the page before; what it means is ours")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most entries of this page")] = DEFAULT_PAGE,
) -> Page:
    return Page(after, limit)


Paging = Annotated[Page, Depends(_page)]


def written_as(pattern: str) -> Callable[[dict[str, JsonValue]], None]:
    """Tell readers of openapi.yaml how a parameter is written; what is written otherwise is answered in our words."""

    def say(schema: dict[str, JsonValue]) -> None:
        schema["pattern"] = f"^{pattern}$"

    return say


SEGMENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"  # OCI distribution-spec 1.1, "Pulling manifests"
Namespace = Annotated[str, Path(examples=["acme"], json_schema_extra=written_as(SEGMENT))]
VersionText = Annotated[
    str,
    Path(
        examples=["1.2.0"],
        description="A semantic version, as it was admitted",
        json_schema_extra=written_as(SEMVER_PATTERN),
    ),
]
AgentName = Annotated[
    str,
    Path(
        examples=["support-agent"],
        description="The agent's name within its namespace",
        json_schema_extra=written_as(SEGMENT),
    ),
]


class Out(BaseModel):
    """Base of all answers: members are camelCase, as in our files."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, from_attributes=True, frozen=True
    )


class In(Out):
    """Base of what is sent here: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class ReasonOut(Out):
    """One thing that was looked at and found wanting."""

    code: str
    message: str
    found: str | None
    expected: str | None
    hint: str | None


def answer(request: Request, body: Out, *, tag: str | None = None) -> Response:
    """Give `body` with a strong ETag, or 304 where the caller has it. Source: RFC 9110 section 13.1.2.

    `tag`: the ETag, where it is something that callers send back in `If-Match`; else it follows from the body.
    """
    return answer_raw(request, body.model_dump_json(by_alias=True).encode(), tag=tag)


def answer_raw(request: Request, raw: bytes, *, tag: str | None = None) -> Response:
    """Give JSON as it is, as `answer` does: where bytes in it must stay what they are."""
    tag = tag or f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(raw, media_type="application/json", headers=headers)
