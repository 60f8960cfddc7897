"""Who acted and what is known of them now: the latest claims of each identity, written when they act or log in."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.policy.inputs import Caller
from tidegate_registry.access.callers import caller_bytes, caller_of, owner_of, parse_caller
from tidegate_registry.access.principal import PrincipalKind
from tidegate_registry.db import DatabaseUnavailable
from tidegate_registry.logs import get_logger
from tidegate_registry.promotion.errors import NotAPerson
from tidegate_registry.promotion.tables import CallerClaimsRow

log = get_logger()

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Db, Tx


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


class CallerNotes:
    """Keeps what is known of those who acted here up to date: each time they log in, their token says who they are."""

    def __init__(self, db: Db, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock

    def renew(self, who: Principal) -> None:
        """Note what a new token says, if its bearer ever acted. A database that is away only delays it."""
        caller = caller_of(who)
        try:
            with self._db.read() as tx:
                row = tx.get(CallerClaimsRow, owner_of(caller))
            if row is not None and row.caller != caller_bytes(caller):
                with self._db.scratch() as tx:
                    note_caller(tx, who, self._clock())
        except DatabaseUnavailable as error:
            log.warning("caller.not-noted", error=error.message)


def demand_person(who: Principal, what: str) -> None:
    """Raise NotAPerson for a pipeline: whoever set it off may not even know."""
    if who.kind != PrincipalKind.HUMAN:
        raise NotAPerson(
            f"{who.name} may not {what}: that takes a person",
            found="a pipeline",
            expected="the token of somebody who logged in",
            hint="log in with `tidegate login` and do it yourself",
        )
