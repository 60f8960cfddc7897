"""Channels: what each serves and served, what a rollback would go to, and the one way in which a channel moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate_registry.audit import service as audit
from tidegate_registry.promotion.events import ChannelMoved
from tidegate_registry.promotion.tables import ChannelRow, HoldRow, PromotionRow, RevocationRow, TenureRow

if TYPE_CHECKING:
    from sqlalchemy import Select

    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_TENURES = 1000  # of one channel that are looked at; a channel moves some times a day


class How(StrEnum):
    """How a channel came to what it serves."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    BREAK_GLASS = "break-glass"


def find_channel(tx: Tx, repository: str, name: str) -> ChannelRow | None:
    """Give the channel; None if it never served anything."""
    return tx.get(ChannelRow, (repository, name))


def channels_of(tx: Tx, repository: str) -> Sequence[ChannelRow]:
    """Give the channels of an agent that serve something, by name."""
    return tx.exec(select(ChannelRow).where(ChannelRow.repository == repository).order_by(ChannelRow.name)).all()


def serving(tx: Tx, repository: str, digest: str) -> Sequence[ChannelRow]:
    """Give the channels of an agent that serve that manifest, by name."""
    query = select(ChannelRow).where(ChannelRow.repository == repository, ChannelRow.digest == digest)
    return tx.exec(query.order_by(ChannelRow.name)).all()


def history_of(tx: Tx, repository: str, name: str, *, limit: int = MAX_TENURES) -> Sequence[TenureRow]:
    """Give the tenures of a channel, the last first."""
    query = select(TenureRow).where(TenureRow.repository == repository, TenureRow.channel == name)
    return tx.exec(query.order_by(col(TenureRow.counter).desc()).limit(limit)).all()


def tenures_of(tx: Tx, repository: str, digest: str) -> Sequence[TenureRow]:
    """Give the times in which a manifest was served, in any channel, in order."""
    query = select(TenureRow).where(TenureRow.repository == repository, TenureRow.digest == digest)
    return tx.exec(query.order_by(TenureRow.channel, col(TenureRow.counter)).limit(MAX_TENURES)).all()


def left_by_rollback(history: Iterable[TenureRow]) -> frozenset[Digest]:
    """Give what a channel last left by a rollback. `history`: the last first."""
    ended: dict[str, str | None] = {}
    for tenure in history:
        ended.setdefault(tenure.digest, tenure.ended_how)
    return frozenset(Digest(digest) for digest, how in ended.items() if how == How.ROLLBACK)


def window_of(history: Sequence[TenureRow], size: int) -> tuple[Digest, ...]:
    """Give the manifests of the last `size` promotions before what the channel serves. `history`: the last first."""
    now = history[0].digest if history else None
    promoted = dict.fromkeys(each.digest for each in history if each.how != How.ROLLBACK and each.digest != now)
    return tuple(map(Digest, promoted))[:size]


def last_healthy(tx: Tx, history: Sequence[TenureRow]) -> TenureRow | None:
    """Give where a rollback goes that nobody told where: never what is revoked, never what a rollback left."""
    if not history:
        return None
    unfit = left_by_rollback(history) | {history[0].digest} | revoked_of(tx, history[0].repository)
    return next((tenure for tenure in history if tenure.digest not in unfit), None)


def revoked_of(tx: Tx, repository: str) -> frozenset[str]:
    """Give the manifests of an agent that were withdrawn."""
    return frozenset(tx.exec(select(RevocationRow.digest).where(RevocationRow.repository == repository)))


def holds_of(tx: Tx, repository: str, name: str) -> Sequence[HoldRow]:
    """Give what a channel may not go to until a human says so, the last first."""
    query = select(HoldRow).where(HoldRow.repository == repository, HoldRow.channel == name)
    return tx.exec(query.order_by(col(HoldRow.since).desc(), HoldRow.digest)).all()


def move_channel(tx: Tx, app: Services, row: PromotionRow, *, how: How, actor: Actor, now: datetime) -> str:
    """Let the channel serve what `row` asks for, from `now` on; give the id of the entry.

    A rollback leaves a hold against what it left. Call `naming.lock_agent` and decide first.
    """
    channel = find_channel(tx, row.repository, row.channel)
    counter = 1 if channel is None else channel.counter + 1
    event = ChannelMoved(
        at=now,
        actor=actor,
        repository=row.repository,
        channel=row.channel,
        counter=counter,
        sequence=row.sequence,
        version=row.version,
        digest=row.digest,
        previous=None if channel is None else channel.digest,
        how=how,
        promotion=row.id,
        decision=row.decision or "",
    )
    event_id = audit.append(tx, event, entropy=app.entropy)
    write_move(tx, event, event_id, rolled_back=row.action == How.ROLLBACK, reason=row.reason)
    return event_id


def write_move(tx: Tx, moved: ChannelMoved, event_id: str, *, rolled_back: bool, reason: str | None) -> None:
    """Write what an entry says of a move: the channel, its tenures, and the hold against what a rollback left."""
    channel = find_channel(tx, moved.repository, moved.channel)
    if channel is None:
        channel = ChannelRow(
            repository=moved.repository,
            name=moved.channel,
            digest=moved.digest,
            version=moved.version,
            sequence=moved.sequence,
            counter=moved.counter,
            since=moved.at,
            promotion=moved.promotion,
            event_id=event_id,
        )
    else:
        last = tx.get_one(TenureRow, (moved.repository, moved.channel, channel.counter))
        last.until, last.ended_how = moved.at, How.ROLLBACK if rolled_back else How.PROMOTE
        tx.add(last)
        if rolled_back:
            _hold(tx, channel, moved, reason=reason)
        channel.digest, channel.version, channel.sequence = moved.digest, moved.version, moved.sequence
        channel.counter, channel.since = moved.counter, moved.at
        channel.promotion, channel.event_id = moved.promotion, event_id
    tx.add(channel)
    tx.add(
        TenureRow(
            repository=moved.repository,
            channel=moved.channel,
            counter=moved.counter,
            digest=moved.digest,
            version=moved.version,
            sequence=moved.sequence,
            since=moved.at,
            how=moved.how,
            promotion=moved.promotion,
        )
    )
    tx.flush()


def _hold(tx: Tx, left: ChannelRow, moved: ChannelMoved, *, reason: str | None) -> None:
    held = tx.get(HoldRow, (left.repository, left.name, left.digest))
    if held is None:
        tx.add(
            HoldRow(
                repository=left.repository,
                channel=left.name,
                digest=left.digest,
                version=left.version,
                reason=reason or "",
                actor=str(moved.actor)[:1200],
                since=moved.at,
                promotion=moved.promotion,
            )
        )


def root_query() -> Select[str, str]:
    """Give the retention root of this room: what channels serve or served, as a rollback may go back to it."""
    return select(col(TenureRow.repository), col(TenureRow.digest)).distinct()
