"""The access room's shell: a request's Authorization header in, a Principal out or the refusal that says why.

One `Gatekeeper` per process. Charters come from the trust file that the operator owns, roles from policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from tidegate.errors import AccessDenied, InvalidInput, Reason
from tidegate.formats.charter import Charter, CharterSet
from tidegate_registry.access.challenge import LoginNeeded, basic_challenge, bearer_challenge
from tidegate_registry.access.credentials import MAX_AUTHORIZATION_BYTES
from tidegate_registry.access.jwt import TokenRefused
from tidegate_registry.access.membership import NO_ROLE, Members, NoMembers
from tidegate_registry.access.memory import CallerMemory
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import ANONYMOUS, Grant, Principal, PrincipalKind
from tidegate_registry.access.rights import (
    RULES,
    AccessRules,
    Forbidden,
    Permission,
    Permitted,
    grantable,
    may,
    may_ask,
)
from tidegate_registry.access.tokens import IssuedToken, RegistryTokens


class Gatekeeper:
    """Authenticates and authorises; raises LoginNeeded (with a challenge) or AccessDenied (with reasons)."""

    def __init__(
        self,
        *,
        public_url: str,
        oidc: OidcVerifier,
        tokens: RegistryTokens,
        rules: AccessRules,
        charters: Callable[[], CharterSet],
        charters_at_hand: Callable[[], CharterSet | None] | None = None,
        members: Members | None = None,
        on_exchange: Callable[[Principal], None] | None = None,
    ) -> None:
        """`charters` gives those in force now; it is asked for each decision. `members`: who holds a policy's roles.

        `on_exchange` is told of everybody who logs in: whoever has lost a group since loses what it gave.

        `charters_at_hand`: the same, or None where they would have to be read; needed if `charters` may block.
        """
        self.public_url = public_url
        self.rules = rules
        self._oidc = oidc
        self._tokens = tokens
        self.charters = charters
        self._charters_at_hand = charters_at_hand
        self.members = members or NoMembers()
        self._on_exchange = on_exchange
        self._memory = CallerMemory()

    def authenticate(self, authorization: str | None) -> Principal:
        """Give the principal of an Authorization header; none means anonymous, one that does not count is refused.

        Raises LoginNeeded.
        """
        if authorization is None:
            return ANONYMOUS
        try:
            principal = self._authenticated(authorization)
        except TokenRefused as error:
            challenge = bearer_challenge(self.public_url, error="invalid_token")
            raise LoginNeeded.after(error, challenge=challenge) from error
        return replace(principal, call=self.members.person) if principal.kind is PrincipalKind.HUMAN else principal

    def recall(self, authorization: bytes, permission: Permission, agent: str) -> Principal | None:
        """Give the caller of a header that `authenticate` took before, if they may do `permission` on `agent` now.

        From memory alone, on the event loop. A principal is exactly what `authenticate` and `demand` would give; None
        is no refusal but says that they have to be asked. What was found is found anew when the token has expired, or
        when charters, rules or policies are not the very ones that it was found under.
        """
        known = self._memory.find(authorization)
        if known is None:
            return None
        try:
            self._tokens.demand_valid(known.token)
        except TokenRefused:  # the full look will say so in its own words
            return None
        charters = self.charters() if self._charters_at_hand is None else self._charters_at_hand()
        if charters is None:
            return None
        principal, under = known.token.principal, (charters, self.rules, self.members.state())
        if not known.is_allowed(permission, agent, under):
            if not self._decide(principal, permission, agent, charters):
                return None
            known.allow(permission, agent, under)
        return principal

    def require(self, authorization: str | None, permission: Permission, agent: str | None = None) -> Principal:
        """Authenticate and demand `permission` on `agent`. Raises LoginNeeded or AccessDenied."""
        principal = self.authenticate(authorization)
        self.demand(principal, permission, agent)
        return principal

    def may(self, principal: Principal, permission: Permission, agent: str | None = None) -> bool:
        """Whether `principal` may; for what is hidden rather than refused."""
        return bool(self._decide(principal, permission, agent))

    def demand(self, principal: Principal, permission: Permission, agent: str | None = None) -> None:
        """Raise LoginNeeded (no token, or one issued for less) or AccessDenied unless `principal` may."""
        self._raise(self._decide(principal, permission, agent))

    def demand_known(self, principal: Principal, permission: Permission) -> None:
        """Raise LoginNeeded unless somebody is calling; for a request whose body names the agent."""
        self._raise(may_ask(principal, permission, self.rules))

    def _raise(self, verdict: Permitted | Forbidden) -> None:
        if not isinstance(verdict, Forbidden):
            return
        message = verdict.reasons[0].message
        if not verdict.login and verdict.scope is None:
            raise AccessDenied.because(message, verdict.reasons)
        challenge = bearer_challenge(
            self.public_url,
            scope=[verdict.scope] if verdict.scope else [],
            error=None if verdict.login else "insufficient_scope",
        )
        raise LoginNeeded(message, challenge=challenge, reasons=verdict.reasons)

    def exchange(self, credential: str | None, requested: Iterable[Grant], *, service: str | None) -> IssuedToken:
        """Give a registry token for an OIDC credential, or an anonymous one where anonymous pull is on.

        It is issued for as much of `requested` as the caller may have. Raises LoginNeeded, InvalidInput, Unreachable.
        """
        if service is not None and service != self.public_url:
            raise InvalidInput(
                "that token would be for another service",
                code="service-unknown",
                found=service[:200],
                expected=self.public_url,
                hint="take `service` from the WWW-Authenticate header as it is",
            )
        principal = self._identify(credential)
        self.members.refresh()
        if self._on_exchange is not None and not principal.is_anonymous:
            self._on_exchange(principal)
        return self._tokens.issue(
            principal,
            grantable(
                principal,
                requested,
                charter_for=self.charters().for_agent,
                rules=self.rules,
                membership_for=partial(self.members.of, principal),
            ),
        )

    def _identify(self, credential: str | None) -> Principal:
        challenge = basic_challenge(self.public_url)
        if credential is None:
            if self.rules.anonymous_pull:
                return ANONYMOUS
            reason = Reason(
                code="login-needed",
                message="this registry gives nothing to anonymous callers",
                found="no credential",
                expected="an OIDC token of a configured issuer",
                hint="log in with user name `oidc` and an OIDC token as the password",
            )
            raise LoginNeeded(reason.message, challenge=challenge, reasons=[reason])
        try:
            return self._oidc.verify(credential)
        except TokenRefused as error:
            raise LoginNeeded.after(error, challenge=challenge) from error

    def _authenticated(self, authorization: str) -> Principal:
        header = authorization.encode() if authorization.isascii() else None  # else its bytes are not these
        known = self._memory.find(header) if header else None
        if known is None:
            token = self._tokens.check(_bearer(authorization))
            if header:
                self._memory.keep(header, token)
        else:
            token = known.token
        try:
            self._tokens.demand_valid(token)
        except TokenRefused:
            if header:
                self._memory.forget(header)
            raise
        return token.principal

    def _decide(
        self, principal: Principal, permission: Permission, agent: str | None, charters: CharterSet | None = None
    ) -> Permitted | Forbidden:
        rule, charter, membership = RULES[permission], None, NO_ROLE
        if rule.standings is not None:  # else every token that counts will do
            if charters is None:  # else from memory alone: see `recall`
                charters = self.charters()
                self.members.refresh()
            charter = _naming(charters, principal) if agent is None else charters.for_agent(agent)
            membership = self.members.of(principal, agent)
        return may(principal, permission, agent=agent, charter=charter, rules=self.rules, membership=membership)


def _naming(charters: CharterSet, principal: Principal) -> Charter | None:
    """Give any charter that names the caller, for what is about no single agent."""
    if principal.identity is None:
        return None
    identity = principal.identity
    return next((charter for charter in charters if any(rule.matches(identity) for _, rule in charter.rules)), None)


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or len(authorization) > MAX_AUTHORIZATION_BYTES:
        raise TokenRefused(
            "only a registry token counts here",
            code="token-scheme",
            found=f"Authorization of scheme {scheme[:20]!r}",
            expected="Bearer and a registry token",
            hint="send Basic credentials to the token endpoint that WWW-Authenticate names",
        )
    return token.strip()
