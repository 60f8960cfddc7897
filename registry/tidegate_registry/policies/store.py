"""Writing versions: each one once, under the lock that orders all changes of policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import select

from tidegate.digest import Digest
from tidegate.policy.inputs import Caller
from tidegate_registry.access.callers import caller_bytes
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.audit.service import LogObject
from tidegate_registry.db import Tx, insert_once
from tidegate_registry.policies.events import PolicyApplied, PolicyReverted
from tidegate_registry.policies.source import PolicyVersion, version_of
from tidegate_registry.policies.tables import THE_HEAD, PolicyHeadRow, PolicyVersionRow

if TYPE_CHECKING:
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What becomes a version. `before`: the one in force; `approvers`: persons who agreed besides the author."""

    name: str
    text: bytes
    author: Caller
    reason: str
    before: PolicyVersion | None
    proposal: str | None = None
    reverts: int | None = None
    approvers: tuple[str, ...] = ()
    recovered: bool = False


def lock_policies(tx: Tx) -> PolicyHeadRow:
    """Order every change of a policy: hold this before reading what is in force. Decisions that hold it wait too."""
    query = select(PolicyHeadRow).where(PolicyHeadRow.id == THE_HEAD).with_for_update()
    found = tx.exec(query).first()
    if found is None:
        insert_once(tx, PolicyHeadRow(id=THE_HEAD, revision=0, event_id=""))
        found = tx.exec(query).one()
    return found


@contextmanager
def changing(app: Services) -> Iterator[tuple[Tx, PolicyHeadRow]]:
    """Open the transaction of a change, with the lock; afterwards memory is told, for whoever may knock."""
    with app.db.begin() as tx:
        yield tx, lock_policies(tx)
    with app.db.read() as tx:
        app.policies.current(tx)


def record_version(tx: Tx, app: Services, head: PolicyHeadRow, new: NewVersion, *, by: Actor) -> PolicyVersion:
    """Write the next version with its entry, and put it in force. `head`: what `lock_policies` gave."""
    now, digest = app.clock(), Digest.of(new.text)
    number = new.before.number + 1 if new.before else 1
    what = PolicyApplied(
        at=now,
        actor=by,
        policy=new.name,
        number=number,
        digest=str(digest),
        before=str(new.before.digest) if new.before else None,
        reason=new.reason,
        proposal=new.proposal,
        approvers=new.approvers,
        recovered=new.recovered or None,
    )
    if new.reverts is not None:
        what = PolicyReverted(**what.__dict__, reverts=new.reverts)
    event_id = audit.append(tx, what, objects=[LogObject.of(new.text)], entropy=app.entropy)
    row = PolicyVersionRow(
        name=new.name,
        number=number,
        text=new.text,
        digest=digest,
        author=caller_bytes(new.author),
        reason=new.reason,
        proposal=new.proposal,
        reverts=new.reverts,
        event_id=event_id,
        applied_at=now,
    )
    tx.add(row)
    head.revision += 1
    head.event_id = event_id
    tx.add(head)
    tx.flush()
    return version_of(row)
