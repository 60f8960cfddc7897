"""Who acted and what is known of them now: the latest claims of each identity, written whenever they act."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.policy.inputs import Caller
from tidegate_registry.access.callers import caller_bytes, caller_of, owner_of, parse_caller
from tidegate_registry.promotion.tables import CallerClaimsRow

if TYPE_CHECKING:
    from tidegate.formats.charter import Charter
    from tidegate.policy.load import LoadedPolicy
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx


def note_caller(tx: Tx, who: Principal, now: datetime) -> Caller:
    """Remember what the caller's token says, in the transaction of what they do; give them as policies see them."""
    caller = caller_of(who)
    row = tx.get(CallerClaimsRow, owner_of(caller))
    if row is None:
        row = CallerClaimsRow(owner=owner_of(caller), caller=b"", seen_at=now)
    row.caller, row.seen_at = caller_bytes(caller), now
    tx.add(row)
    tx.flush()
    return caller


def known_as(tx: Tx, issuer: str, identity: str) -> Caller | None:
    """Give an identity by its latest token; None if it never acted here."""
    row = tx.get(CallerClaimsRow, owner_of(Caller("", issuer, identity)))
    return None if row is None else parse_caller(row.caller)


def humans_of(caller: Caller, policy: LoadedPolicy, charter: Charter | None) -> frozenset[str]:
    """Give every name under which policy and charter know the human behind a token, and the identity itself.

    Two tokens are of one human if these meet.
    """
    named = set(policy.people.all_of(caller))
    for rule in (*charter.approvers, *charter.break_glass) if charter is not None else ():
        if (rule.issuer, rule.identity) == (caller.issuer, caller.identity):
            named.add(rule.human)
    return frozenset({*named, f"{caller.issuer} {caller.identity}"})
