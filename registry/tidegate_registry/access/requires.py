"""How an endpoint declares its principal: `who: Annotated[Principal, Depends(Requires(Permission.RELEASE_READ))]`.

An endpoint without such a parameter is public, visibly so; tests/registry/access/test_routes.py lists every route with
the permission it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from tidegate.errors import NotFound
from tidegate.formats.reference import is_oci_name
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import RULES, Permission
from tidegate_registry.services import App, Caller


class Requires:
    """A dependency that gives the caller of a request, after the check that they may do `permission`.

    What it is about comes from the path: the parameters `namespace` and `agent`. Where the path has none and the
    permission is about an agent, the caller has to be somebody, and the use case demands the permission once it knows
    the agent. Raises LoginNeeded, AccessDenied, or NotFound for what cannot be an agent's name.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request, app: App, principal: Caller) -> Principal:
        """Check, in a thread as every plain function: the charters may have to be read from disk again."""
        on_agent, path = RULES[self.permission].on_agent, request.path_params
        if on_agent and "agent" not in path:
            app.access.demand_known(principal, self.permission)
        else:
            app.access.demand(principal, self.permission, _agent(path) if on_agent else None)
        return principal


def _agent(path: Mapping[str, object]) -> str:
    """Give the agent's name, if it can be one: any other text has no place in a scope, nor in the header with it."""
    name = f"{path['namespace']}/{path['agent']}"
    if not is_oci_name(name):
        raise NotFound("there is no such agent", code="agent-unknown", found=name[:200], expected="namespace/agent")
    return name
