"""Enrolments from entries: a token that was used stays used; one that was made is lost: no entry holds its secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate_registry.enrolment.events import EnrolmentMade, EnrolmentRedeemed
from tidegate_registry.enrolment.tables import EnrolmentRow

if TYPE_CHECKING:
    from tidegate_registry.audit.redo import Redoing, RedoTable


def _made(doing: Redoing) -> str | None:
    said = doing.event(EnrolmentMade)
    if doing.tx.get(EnrolmentRow, said.enrolment) is not None:
        return None
    return f"the enrolment token for {said.purpose} {said.name}: make another"


def _redeemed(doing: Redoing) -> str | None:
    said = doing.event(EnrolmentRedeemed)
    row = doing.tx.get(EnrolmentRow, said.enrolment)
    if row is not None and row.redeemed_at is None:
        row.redeemed_at = said.at
        doing.tx.add(row)
        doing.tx.flush()
    return None


REDO: Final[RedoTable] = {EnrolmentMade.type: _made, EnrolmentRedeemed.type: _redeemed}
