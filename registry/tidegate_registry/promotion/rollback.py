"""Going back: one call, to the last release that was healthy in the channel unless somebody says to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.formats.predicates.approval import Action
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.lists import find_release
from tidegate_registry.artifacts import naming
from tidegate_registry.promotion import channels
from tidegate_registry.promotion.errors import ChannelUnknown, NothingToRollBackTo
from tidegate_registry.promotion.service import Wanted, moves_of, open_request

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.artifacts.naming import Release
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class Back:
    """What somebody asks. `version`: None for the last release that was healthy there. The rest: `service.Wanted`."""

    repository: str
    channel: str
    version: str | None
    reason: str
    key: str | None = None
    break_glass: bool = False


def roll_back(app: Services, who: Principal, back: Back) -> str:
    """Move a channel back, at once where the charter's window allows it; give the request's id.

    Beyond the window, or to what a rollback left, the request waits for the signatures of approvers.
    Raises LoginNeeded, AccessDenied, AgentUnknown, ReleaseUnknown, ChannelUnknown, NothingToRollBackTo, and what
    `service.open_promotion` does.
    """
    repository = back.repository
    app.access.demand(who, Permission.BREAK_GLASS_USE if back.break_glass else Permission.CHANNEL_ROLLBACK, repository)
    seen = moves_of(app, repository, back.channel)  # before the target is chosen, which rests on it
    if back.version is not None:
        target = find_release(app, who, repository, back.version)
    else:
        target = _healthy(app, repository, back.channel)
    wanted = Wanted(
        repository,
        target.version,
        back.channel,
        Action.ROLLBACK,
        back.reason,
        back.key,
        break_glass=back.break_glass,
    )
    return open_request(app, who, wanted, target, seen=seen)


def _healthy(app: Services, repository: str, channel: str) -> Release:
    with app.db.read() as tx:
        history = channels.history_of(tx, repository, channel)
        best = channels.last_healthy(tx, history)
        release = None if best is None else naming.find_release(tx, repository, best.version)
    if not history:
        raise ChannelUnknown(
            "the channel serves nothing that it could go back from", found=f"{channel} of {repository}"
        )
    if release is None:
        raise NothingToRollBackTo(
            f"{channel} of {repository} has no earlier release that is fit to serve",
            found=f"{history[0].version}, and before it nothing that was neither revoked nor left by a rollback",
            hint="promote a release that is good, or name one with `--to VERSION` and have approvers sign for it",
        )
    return release
