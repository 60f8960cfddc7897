"""What a text would change here: the last recorded decisions, and everything that channels serve, judged by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from sqlmodel import col, select

from tidegate.errors import Reason, StatementInvalid
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY
from tidegate.policy.people import roles_of
from tidegate.policy.recorded import Charters, read_case
from tidegate.policy.whatif import Case, WhatIf, what_if
from tidegate_registry.access.callers import caller_of
from tidegate_registry.logs import get_logger
from tidegate_registry.policies.errors import PolicyEditRefused, TooManyQuestions
from tidegate_registry.policies.proposals import judge_by, known_here
from tidegate_registry.policies.service import difference
from tidegate_registry.policies.source import PolicySet
from tidegate_registry.policies.validate import check_overlays, check_text
from tidegate_registry.promotion.tables import ChannelRow, DecisionRow

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate.policy.inputs import Caller
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

log = get_logger()

DEFAULT_DECISIONS = 500
MAX_DECISIONS = 2_000
MAX_SERVING = 2_000  # channels of agents; a registry with more is asked about one namespace at a time
MAX_RECORDS_BYTES = 256 << 20  # of records that are read for one question
BATCH = 50


@dataclass(frozen=True, slots=True)
class Compared:
    """What would change. `left_out`: records that were too many or too large to be read, or that cannot be read.

    `changes`: what the text changes, in sentences.
    """

    found: WhatIf
    left_out: int
    changes: tuple[str, ...]


def ask_what_if(
    app: Services, who: Principal, name: str, text: bytes, *, decisions: int = DEFAULT_DECISIONS
) -> Compared:
    """Judge again what was decided, the last first, and what is served, as if `text` were in force as `name`.

    Changes nothing. For those who have a role under that policy: it says what was decided and what people may do.
    Raises PolicyInvalid with every mistake, PolicyEditRefused, NoPolicy, TooManyQuestions.
    """
    if not app.what_ifs.acquire(blocking=False):
        raise TooManyQuestions("other texts are being tried out at this moment", hint="ask again in a few seconds")
    try:
        return _ask(app, who, name, text, decisions)
    finally:
        app.what_ifs.release()


def _ask(app: Services, who: Principal, name: str, text: bytes, decisions: int) -> Compared:
    with app.db.read() as tx:
        current, known = app.policies.current(tx), known_here(app, tx)
        asker = caller_of(who)
        _demand_role(current, name, asker)
        known = replace(known, callers=(*known.callers, asker))
        after = _policies_with(current, name, text)
        namespace = None if name == COMPANY else name
        read = _read(tx, namespace, decisions, app.clock())
    names = [COMPANY, *sorted(set(current.versions) - {COMPANY})] if name == COMPANY else [name]
    now = current.versions.get(name)
    changed = difference(current, name, now.text if now else None, text)
    return Compared(what_if(current.for_agent, after, read.cases, known, names=names), read.left_out, changed)


def _demand_role(current: PolicySet, name: str, asker: Caller) -> None:
    """A role of one namespace's overlay, which its own editors bind to whom they like, opens that namespace alone."""
    if not roles_of(asker, judge_by(current, name)):
        reason = Reason(
            "role-missing",
            f"{asker.identity} has no role under the policy {name}",
            "no role",
            "a role of the company-wide policy, or of the overlay asked about",
            "have the editors of the policy bind a role to this identity or one of its claims",
        )
        raise PolicyEditRefused.because(reason.message, [reason])


def _policies_with(current: PolicySet, name: str, text: bytes) -> Callable[[str], LoadedPolicy | None]:
    """Give the policies as they would be."""
    changed = check_text(current, name, text)
    if name != COMPANY:
        return lambda agent: changed if agent.partition("/")[0] == name else current.for_agent(agent)
    overlays = check_overlays(current, text)
    return lambda agent: overlays.get(agent.partition("/")[0], changed)


@dataclass
class _Read:
    """The cases that were read, and how many bytes may still be."""

    charters: Charters = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    room: int = MAX_RECORDS_BYTES
    left_out: int = 0

    def add(self, id_: str, raw: bytes, kind: Literal["decision", "serving"], at: datetime | None = None) -> None:
        self.room -= len(raw)
        try:
            case = read_case(raw, self.charters, id_=id_, kind=kind) if self.room >= 0 else None
        except StatementInvalid as error:
            log.warning("decision.unreadable", decision=id_, error=error.message)
            case = None
        if case is None:
            self.left_out += 1
        else:
            self.cases.append(case if at is None else replace(case, at=at))


def _read(tx: Tx, namespace: str | None, decisions: int, now: datetime) -> _Read:
    read = _Read()
    for id_, raw in _decisions(tx, namespace, decisions):
        read.add(id_, raw, "decision")
    for id_, raw in _serving(tx, namespace):
        read.add(id_, raw, "serving", now)
    return read


def _decisions(tx: Tx, namespace: str | None, most: int) -> Iterator[tuple[str, bytes]]:
    """Give the records of the last decisions, the latest first, a few at a time."""
    query = select(DecisionRow.id, DecisionRow.record).order_by(col(DecisionRow.id).desc())
    if namespace is not None:
        query = query.where(col(DecisionRow.repository).startswith(f"{namespace}/", autoescape=True))
    before: str | None = None
    while most > 0:
        page = query if before is None else query.where(col(DecisionRow.id) < before)
        rows = tx.exec(page.limit(min(BATCH, most))).all()
        if not rows:
            return
        yield from ((id_, raw) for id_, raw in rows)
        before, most = rows[-1][0], most - len(rows)


def _serving(tx: Tx, namespace: str | None) -> Iterator[tuple[str, bytes]]:
    """Give for each channel the record of the decision by which it serves what it serves."""
    query = select(ChannelRow.promotion).order_by(col(ChannelRow.repository), col(ChannelRow.name)).limit(MAX_SERVING)
    if namespace is not None:
        query = query.where(col(ChannelRow.repository).startswith(f"{namespace}/", autoescape=True))
    for promotion in tx.exec(query).all():
        decided = select(DecisionRow.id, DecisionRow.record).where(DecisionRow.promotion == promotion)
        last = tx.exec(decided.where(col(DecisionRow.allowed)).order_by(col(DecisionRow.id).desc()).limit(1)).first()
        if last is not None:
            yield last[0], last[1]
