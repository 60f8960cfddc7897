"""Versions of policies written again from the entries that put them in force, with the texts kept beside the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate.digest import Digest
from tidegate.policy.inputs import Caller
from tidegate.policy.load import MAX_POLICY_BYTES
from tidegate_registry.access.callers import caller_bytes
from tidegate_registry.policies.events import PolicyApplied, PolicyReverted
from tidegate_registry.policies.store import lock_policies
from tidegate_registry.policies.tables import PolicyProposalRow, PolicyVersionRow

if TYPE_CHECKING:
    from tidegate_registry.audit.redo import Redoing, RedoTable


def _applied(doing: Redoing) -> str | None:
    said = doing.event(PolicyReverted if doing.entry.type == PolicyReverted.type else PolicyApplied)
    known = doing.tx.get(PolicyVersionRow, (said.policy, said.number))
    if known is not None:
        name = f"policy {said.policy}, version {said.number}"
        return None if known.digest == said.digest else f"{name} is {known.digest} here, and {said.digest} in the log"
    text = doing.fetch(Digest.parse(said.digest), MAX_POLICY_BYTES)
    if text is None:
        return f"policy {said.policy}, version {said.number}: its text {said.digest} is not beside the log"
    head = lock_policies(doing.tx)
    proposal = None if said.proposal is None else doing.tx.get(PolicyProposalRow, said.proposal)
    doing.tx.add(
        PolicyVersionRow(
            name=said.policy,
            number=said.number,
            text=text,
            digest=said.digest,
            author=caller_bytes(Caller(said.actor.kind, said.actor.issuer, said.actor.name))
            if proposal is None
            else proposal.author,
            reason=said.reason,
            proposal=said.proposal,
            reverts=said.reverts if isinstance(said, PolicyReverted) else None,
            event_id=doing.entry.id,
            applied_at=said.at,
        )
    )
    if proposal is not None:
        proposal.state, proposal.applied, proposal.closed_at = "applied", said.number, said.at
        doing.tx.add(proposal)
    head.revision += 1
    head.event_id = doing.entry.id
    doing.tx.add(head)
    doing.tx.flush()
    return None


REDO: Final[RedoTable] = {PolicyApplied.type: _applied, PolicyReverted.type: _applied}
