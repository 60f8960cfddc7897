"""How a policy comes to a registry that has none: by its operator, who has no credential but the machine.

Everything after that is a proposal, judged under the policy in force. `recover` is for a registry whose policy nobody
can change any more: it leaves an entry that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.policy.inputs import Caller
from tidegate.policy.model import COMPANY
from tidegate_registry.audit.events import Actor
from tidegate_registry.policies.errors import NoPolicy, PolicyInstalled
from tidegate_registry.policies.source import PolicyVersion
from tidegate_registry.policies.store import NewVersion, changing, record_version
from tidegate_registry.policies.validate import check_overlays, check_text

if TYPE_CHECKING:
    from tidegate_registry.services import Services


def install(
    app: Services,
    operator: Actor,
    text: bytes,
    *,
    name: str = COMPANY,
    reason: str,
    recover: bool = False,
    file_name: str | None = None,
) -> PolicyVersion:
    """Put `text` in force as version 1 of `name`, or with `recover` as its next version.

    `file_name`: how mistakes call it.
    Raises PolicyInvalid with every mistake, NoPolicy for an overlay without a company-wide document, PolicyInstalled.
    """
    author = Caller(operator.kind, operator.issuer, operator.name)
    with changing(app) as (tx, head):
        current = app.policies.current(tx)
        before = current.versions.get(name)
        if before is not None and not recover:
            raise PolicyInstalled(
                f"the registry has a policy {name} already",
                found=f"version {before.number}, {before.digest}",
                hint="change it with `tidegate policy propose`; if nobody can any more, `--force --reason TEXT`",
            )
        if name != COMPANY and current.company is None:
            raise NoPolicy.told()
        check_text(current, name, text, title=file_name or name)
        if name == COMPANY:
            check_overlays(current, text)
        new = NewVersion(name, text, author, reason, before, recovered=recover and before is not None)
        return record_version(tx, app, head, new, by=operator)
