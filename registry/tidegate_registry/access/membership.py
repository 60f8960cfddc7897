"""The seam to the policy in force: which of its roles a caller holds. The policies room fills it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.policy.load import LoadedPolicy
    from tidegate_registry.access.principal import Principal


@dataclass(frozen=True, slots=True)
class Membership:
    """The roles that a policy gives a caller.

    `edits`, `audits`: those among them that may edit the company-wide document, that may read the audit log.
    """

    roles: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    audits: tuple[str, ...] = ()


NO_ROLE = Membership()


class Members(Protocol):
    """The policies in force, as far as this room asks them. `state` and `of` answer from memory."""

    def refresh(self) -> None:
        """See whether the policies have changed elsewhere. May ask the database: never on the event loop."""

    def state(self) -> object:
        """Give what stands for the policies in force: the very same object as long as they do not change."""

    def of(self, principal: Principal, agent: str | None) -> Membership:
        """Give the caller's roles for `agent`; for None those that they hold for any."""

    def person(self, principal: Principal) -> str | None:
        """Give the name of this human in the company-wide document; None for somebody whom it does not know."""

    def in_force(self) -> Mapping[str, LoadedPolicy]:
        """Give the policies that can be used: the company-wide one, and that of each namespace with an overlay."""


class NoMembers:
    """A registry without a policy: nobody holds a role."""

    def refresh(self) -> None:
        """Do nothing."""

    def state(self) -> object:
        """Give always the same."""
        return self

    def of(self, principal: Principal, agent: str | None) -> Membership:  # noqa: ARG002 - nobody is anybody
        """Give none."""
        return NO_ROLE

    def person(self, principal: Principal) -> str | None:  # noqa: ARG002 - nobody is anybody
        """Give none."""
        return None

    def in_force(self) -> Mapping[str, LoadedPolicy]:
        """Give none."""
        return {}
