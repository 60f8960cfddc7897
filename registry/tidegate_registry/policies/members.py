"""Who holds which role of the policies in force, for the room that decides who may knock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tidegate.policy.editing import editing_roles, log_roles
from tidegate.policy.model import COMPANY
from tidegate.policy.people import roles_of
from tidegate_registry.access.callers import caller_of
from tidegate_registry.access.membership import NO_ROLE, Membership
from tidegate_registry.db import DatabaseUnavailable
from tidegate_registry.logs import get_logger
from tidegate_registry.policies.source import PolicyUnusable, StoredPolicies

if TYPE_CHECKING:
    from tidegate.policy.load import LoadedPolicy
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Db

log = get_logger()


REFRESH_SECONDS = 1.0  # how late another replica's change may be for who may knock; decisions look for themselves


class PolicyMembers:
    """Reads roles out of the policies in force. What a role may do is judged by the decisions themselves."""

    def __init__(self, db: Db, policies: StoredPolicies, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db, self._policies, self._monotonic = db, policies, monotonic
        self._refreshed: float | None = None

    def refresh(self) -> None:
        """See whether another replica changed a policy, at most every REFRESH_SECONDS."""
        now = self._monotonic()
        if self._refreshed is None or now - self._refreshed >= REFRESH_SECONDS:
            self._refreshed = now
            try:
                with self._db.read() as tx:
                    self._policies.current(tx)
            except DatabaseUnavailable as error:  # what is decided asks the database itself, and is told so there
                log.warning("policy.not_refreshed", error=error.message)

    def state(self) -> object:
        """Give the policies that were in force when they were last asked for."""
        return self._policies.known

    def of(self, principal: Principal, agent: str | None) -> Membership:
        """Give the caller's roles for an agent; for None those for any. Nobody has one in a policy that is unusable."""
        if principal.is_anonymous or self._policies.known.company is None:
            return NO_ROLE
        caller, roles, edits, audits = caller_of(principal), set[str](), set[str](), set[str]()
        for policy in self._usable(None if agent is None else (agent,)).values():
            held = roles_of(caller, policy)
            roles |= held
            edits |= held & editing_roles(policy, COMPANY)
            audits |= held & log_roles(policy)
        return Membership(tuple(sorted(roles)), tuple(sorted(edits)), tuple(sorted(audits)))

    def person(self, principal: Principal) -> str | None:
        """Give the name of this human in the company-wide document; None for somebody whom it does not know."""
        company = self._usable((COMPANY,)).get(COMPANY)
        return None if company is None else company.people.of(caller_of(principal))

    def in_force(self) -> Mapping[str, LoadedPolicy]:
        """Give the policies by name; one that is unusable is left out."""
        return self._usable(None)

    def _usable(self, agents: Iterable[str] | None) -> dict[str, LoadedPolicy]:
        current, found = self._policies.known, dict[str, "LoadedPolicy"]()
        for name in sorted(current.versions) if agents is None else agents:
            try:
                policy = current.for_agent(name)
            except PolicyUnusable as error:
                log.warning("policy.unusable", policy=name, error=error.message)
                continue
            if policy is not None:
                found[name] = policy
        return found
