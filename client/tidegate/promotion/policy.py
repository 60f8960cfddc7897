"""The policy in force, read from its text: what a registry serves, but parsed and hashed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import NotFound
from tidegate.formats.jcs import JsonObject
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.model import COMPANY
from tidegate.remote.api import unintelligible
from tidegate.remote.policies import Policies, Version

if TYPE_CHECKING:
    from tidegate.remote.api import Api


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy for an agent. `versions`: name and number of each document it is made of, the company's first."""

    loaded: LoadedPolicy
    versions: tuple[tuple[str, int], ...]

    def as_json(self) -> JsonObject:
        """Give the digest and the versions by name."""
        return {"digest": str(self.loaded.digest), "versions": dict(self.versions)}

    def __str__(self) -> str:
        names = ", overlay ".join(f"{name} version {number}" for name, number in self.versions)
        return f"{names}, {self.loaded.digest}"


def fetch_policy(api: Api, agent: str) -> PolicyInForce:
    """Fetch the company-wide policy and the overlay of the agent's namespace, and read them.

    Raises PolicyInvalid, NotFound (there is none), Unreachable.
    """
    policies, namespace = Policies(api), agent.partition("/")[0]
    base = policies.in_force(COMPANY)
    try:
        overlay = policies.in_force(namespace)
    except NotFound:
        return PolicyInForce(load_policy(_text(base), name="policy"), ((COMPANY, base.number),))
    loaded = load_policy(_text(base), _text(overlay), name="policy", overlay_name=f"overlay {namespace}")
    return PolicyInForce(loaded, ((COMPANY, base.number), (namespace, overlay.number)))


def _text(version: Version) -> bytes:
    if version.text is None:
        raise unintelligible("a policy has a `text`", version.name)
    return version.text.encode()
