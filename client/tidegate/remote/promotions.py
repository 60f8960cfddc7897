"""What a client asks a registry about promotions. Source: openapi.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.remote.api import path, unintelligible
from tidegate.remote.promotion_values import ChannelState, Debt, Promotion, RequestState, text
from tidegate.remote.transport import promote_scope

if TYPE_CHECKING:
    from tidegate.remote.api import Api


class Promotions:
    """Asks one registry. Every method raises what its refusal stands for, Unreachable, JsonInvalid."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def open(
        self, agent: str, version: str, channel: str, *, reason: str | None = None, break_glass: bool = False
    ) -> Promotion:
        """Ask to move a channel to a version. It moves at once if nothing is missing."""
        document: JsonObject = {"agent": agent, "version": version, "channel": channel, "reason": reason}
        if break_glass:
            document["breakGlass"] = True
        return Promotion.parse(
            self._api.send(
                "POST",
                "/promotions",
                document,
                what=f"promote {agent} {version} to {channel}",
                scopes=promote_scope(agent),
            )
        )

    def get(self, request: str) -> Promotion:
        """Ask how a request stands."""
        found = Promotion.parse(self._api.get(path("promotions", request), what=f"show the request {request[:64]}"))
        if found.id != request:
            raise unintelligible("it is about another request", found.id)
        return found

    def list(
        self, *, agent: str | None = None, channel: str | None = None, state: RequestState | None = None
    ) -> Iterator[Promotion]:
        """List requests, the newest first."""
        query = {"agent": agent, "channel": channel, "state": state.value if state else None}
        for item in self._api.items("/promotions", what="list promotions", query=query):
            yield Promotion.parse(item)

    def file(self, request: Promotion, referrer: Digest) -> Promotion:
        """File a signed statement that was attached before, an approval or a use of break-glass."""
        return self._say(request, "approvals", {"manifest": str(referrer)}, "take the approval")

    def reject(self, request: Promotion, reason: str) -> Promotion:
        """Say no to it."""
        return self._say(request, "rejection", {"reason": reason}, "reject the request")

    def withdraw(self, request: Promotion, reason: str | None) -> Promotion:
        """Take it back."""
        return self._say(request, "withdrawal", {"reason": reason}, "withdraw the request")

    def channels(self, agent: str) -> tuple[ChannelState, ...]:
        """List an agent's channels, as the policy orders them."""
        items = self._api.items(path("agents", *agent.split("/"), "channels"), what=f"list the channels of {agent}")
        return tuple(ChannelState.parse(item) for item in items)

    def channel(self, agent: str, name: str) -> ChannelState:
        """Ask what a channel serves."""
        target = path("agents", *agent.split("/"), "channels", name)
        return ChannelState.parse(self._api.get(target, what=f"show the channel {name} of {agent}"))

    def rollback(
        self, agent: str, channel: str, version: str | None, reason: str, *, break_glass: bool = False
    ) -> Promotion:
        """Go back, at once where the charter's window allows it."""
        target = path("agents", *agent.split("/"), "channels", channel, "rollback")
        what = f"roll {channel} of {agent} back"
        document: JsonObject = {"version": version, "reason": reason}
        if break_glass:
            document["breakGlass"] = True
        return Promotion.parse(self._api.send("POST", target, document, what=what, scopes=promote_scope(agent)))

    def lift_hold(self, agent: str, channel: str, reason: str) -> ChannelState:
        """Let what a rollback left be promoted again."""
        target = path("agents", *agent.split("/"), "channels", channel, "hold")
        what = f"lift the hold of {channel}"
        return ChannelState.parse(
            self._api.send("DELETE", target, {"reason": reason}, what=what, scopes=promote_scope(agent))
        )

    def revoke(self, agent: str, version: str, reason: str, *, rollback: bool) -> JsonObject:
        """Withdraw a release for good."""
        document: JsonObject = {"agent": agent, "version": version, "reason": reason, "rollback": rollback}
        what = f"revoke {agent}:{version}"
        return self._api.send("POST", "/revocations", document, what=what, scopes=promote_scope(agent))

    def debts(self, *, only_open: bool = True) -> Iterator[Debt]:
        """List uses of break-glass."""
        query = {"open": "true" if only_open else None}
        for item in self._api.items("/break-glass", what="list uses of break-glass", query=query):
            yield Debt.parse(item)

    def review(self, use: Debt, verdict: str, reason: str) -> JsonObject:
        """Review a use of break-glass."""
        target, document = path("break-glass", use.id, "review"), {"verdict": verdict, "reason": reason}
        return self._api.send("POST", target, document, what="take the review", scopes=promote_scope(use.agent))

    def agents(self) -> tuple[str, ...]:
        """List the agents that have releases and that we may see."""
        items = self._api.items("/agents", what="list agents")
        return tuple(text(item, "name") for item in items if item.get("released") is True)

    def _say(self, request: Promotion, kind: str, document: JsonObject, what: str) -> Promotion:
        scopes = promote_scope(request.agent)
        return Promotion.parse(
            self._api.send("POST", path("promotions", request.id, kind), document, what=what, scopes=scopes)
        )
