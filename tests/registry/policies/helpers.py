"""A registry whose policy is changed over HTTP, by people of the test's own company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from sqlmodel import col, update

from tests.registry.policies.documents import IDP, policy, text
from tests.registry.world import World
from tidegate.formats.jcs import parse_object
from tidegate.policy.inputs import Caller
from tidegate_registry.access.callers import caller_bytes, owner_of
from tidegate_registry.audit.events import Actor
from tidegate_registry.policies.install import install
from tidegate_registry.promotion.tables import CallerClaimsRow

OPERATOR = Actor("operator", "", "root")
# a requirement of the policy that a new sandbox starts with, and another one in its place
REVIEWED = "approvals: {count: 1, role: reviewer, maxAge: 72h}"
TWICE = "approvals: {count: 2, role: reviewer, maxAge: 72h}"
COMPANY_URL = "/api/v1/policies/_company"


@dataclass
class Company:
    """Anna, Ben and Cleo are admins, each with two identities; Dev is a developer."""

    world: World

    def install(self, document: dict[str, Any] | None = None, name: str = "_company", *, recover: bool = False) -> None:
        install(self.world.services, OPERATOR, text(document or policy()), name=name, reason="first", recover=recover)

    def meet(self, *names: str) -> None:
        """Let people be seen with a token of an admin: what they did is of no importance."""
        for name in names:
            self.world.clock.tick(seconds=1)
            tag = self.tag()
            answer = self.admin(name).post(
                f"{COMPANY_URL}/proposals",
                json={"document": text(policy(description=f"by {name}")).decode(), "reason": "hello"},
                headers={"If-Match": tag},
            )
            assert answer.status_code == 201, answer.text

    def seen_as(self, name: str, *groups: str) -> None:
        """Let somebody's latest token be another one."""
        caller = Caller("human", IDP, f"{name}@acme.example", {"groups": groups})
        changed = {"caller": caller_bytes(caller)}
        with self.world.services.db.engine.begin() as connection:
            connection.execute(update(CallerClaimsRow).where(col(CallerClaimsRow.owner) == owner_of(caller)), changed)

    def admin(self, name: str) -> httpx2.Client:
        return self.world.client(name, attributes={"groups": ("admins",)})

    def as_(self, name: str, *groups: str) -> httpx2.Client:
        return self.world.client(name, attributes={"groups": groups})

    def tag(self, name: str = "_company") -> str:
        answer = self.admin("anna").get(f"/api/v1/policies/{name}")
        assert answer.status_code == 200, answer.text
        return answer.headers["etag"]

    def propose(
        self, client: httpx2.Client, document: dict[str, Any] | str, *, name: str = "_company", tag: str | None = None
    ) -> httpx2.Response:
        return client.post(
            f"/api/v1/policies/{name}/proposals",
            json={"document": document if isinstance(document, str) else text(document).decode(), "reason": "better"},
            headers={"If-Match": tag or self.tag(name)},
        )

    def approve(self, client: httpx2.Client, proposal: str, *, name: str = "_company") -> httpx2.Response:
        return client.post(f"/api/v1/policies/{name}/proposals/{proposal}/approvals")

    def apply(self, client: httpx2.Client, proposal: str, *, name: str = "_company") -> httpx2.Response:
        return client.post(f"/api/v1/policies/{name}/proposals/{proposal}/application")


def founded(world: World, document: dict[str, Any] | None = None) -> Company:
    """Give a company with a policy that anna and ben have used before."""
    made = Company(world)
    made.install(document)
    made.meet("anna", "ben")
    return made


def refused(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of a problem document."""
    return answer.status_code, answer.json()["code"]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(parse_object(self.out.encode(), limit=1 << 20, what="output"))


Run = Callable[..., Done]
