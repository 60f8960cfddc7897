"""Requests as rows: which are open, and which number comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import func, select

from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import PromotionRow

if TYPE_CHECKING:
    from tidegate_registry.db import Tx


def newest_sequence(tx: Tx, repository: str, channel: str) -> int:
    """Give the sequence of the last request of a channel, 0 if there was none."""
    query = select(func.max(PromotionRow.sequence)).where(
        PromotionRow.repository == repository, PromotionRow.channel == channel
    )
    return tx.exec(query).one() or 0  # SQL's max of nothing is NULL


def open_requests(tx: Tx, repository: str, *, digest: str | None = None) -> list[PromotionRow]:
    """Give the open requests of an agent, or those for one manifest."""
    query = select(PromotionRow).where(
        PromotionRow.repository == repository, PromotionRow.state == str(PromotionState.OPEN)
    )
    if digest is not None:
        query = query.where(PromotionRow.digest == digest)
    return list(tx.exec(query.order_by(PromotionRow.id)))
