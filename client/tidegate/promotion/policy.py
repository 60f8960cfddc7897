"""The policy in force, read from its text: what a registry serves, but parsed and hashed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import NotFound
from tidegate.formats.jcs import JsonObject
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.model import COMPANY
from tidegate.remote.api import path, unintelligible

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
    base, number = _fetch(api, COMPANY)
    namespace = agent.partition("/")[0]
    try:
        overlay, overlay_number = _fetch(api, namespace)
    except NotFound:
        return PolicyInForce(load_policy(base, name="policy"), ((COMPANY, number),))
    loaded = load_policy(base, overlay, name="policy", overlay_name=f"overlay {namespace}")
    return PolicyInForce(loaded, ((COMPANY, number), (namespace, overlay_number)))


def _fetch(api: Api, name: str) -> tuple[bytes, int]:
    answer = api.get(path("policies", name), what=f"show the policy {name}")
    text, number = answer.get("text"), answer.get("number")
    if not isinstance(text, str) or type(number) is not int:
        raise unintelligible("a policy has a `text` and a `number`", answer.keys())
    return text.encode(), number
