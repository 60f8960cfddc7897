"""Policies, their versions and their proposals, to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate_registry.policies.errors import PolicyUnknown
from tidegate_registry.policies.proposals import Proposal, find_row, list_rows, open_ids, proposal_of
from tidegate_registry.policies.service import difference, standing_of
from tidegate_registry.policies.source import PolicySet, PolicyVersion, version_of
from tidegate_registry.policies.tables import PolicyVersionRow

if TYPE_CHECKING:
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class InForce:
    """The version of a policy that is in force, and the proposals that wait for others to agree."""

    version: PolicyVersion
    open_proposals: tuple[str, ...]


def list_policies(app: Services, *, after: str, size: int) -> tuple[Sequence[InForce], str | None]:
    """Give a page of what is in force, by name; the company-wide document is the first."""
    with app.db.read() as tx:
        current = app.policies.current(tx)
        waiting = open_ids(tx, current)
    names = sorted(name for name in current.versions if name > after)
    found = [InForce(current.versions[name], tuple(waiting.get(name, ()))) for name in names[:size]]
    return found, names[size - 1] if len(names) > size else None


def find_policy(app: Services, name: str) -> InForce:
    """Give what is in force under a name. Raises PolicyUnknown."""
    with app.db.read() as tx:
        current = app.policies.current(tx)
        version = current.versions.get(name)
        if version is None:
            raise _unknown(name, current)
        return InForce(version, tuple(open_ids(tx, current).get(name, ())))


def list_versions(app: Services, name: str, *, after: str, size: int) -> tuple[Sequence[PolicyVersion], str | None]:
    """Give a page of versions, the latest first. Raises PolicyUnknown."""
    query = select(PolicyVersionRow).where(PolicyVersionRow.name == name)
    if after.isascii() and after.isdigit():
        query = query.where(col(PolicyVersionRow.number) < int(after[:9]))
    with app.db.read() as tx:
        current = app.policies.current(tx)
        if name not in current.versions:
            raise _unknown(name, current)
        rows = tx.exec(query.order_by(col(PolicyVersionRow.number).desc()).limit(size + 1)).all()
    found = [version_of(row) for row in rows[:size]]
    return found, str(found[-1].number) if len(rows) > size else None


def list_proposals(app: Services, name: str, *, after: str, size: int) -> tuple[Sequence[Proposal], str | None]:
    """Give a page of proposals, the latest first."""
    with app.db.read() as tx:
        current = app.policies.current(tx)
        rows, following = list_rows(tx, name, after=after, size=size)
        return [proposal_of(tx, current, row) for row in rows], following


def find_proposal(app: Services, name: str, proposal: str) -> tuple[Proposal, tuple[str, ...]]:
    """Give a proposal, and in sentences what it changes. Raises ProposalUnknown."""
    with app.db.read() as tx:
        current = app.policies.current(tx)
        found = standing_of(app, tx, current, find_row(tx, name, proposal))
        base = tx.get(PolicyVersionRow, (name, found.base))
    return found, difference(current, name, None if base is None else base.text, found.text)


def _unknown(name: str, current: PolicySet) -> PolicyUnknown:
    known = ", ".join(sorted(current.versions)) or "none is installed"
    return PolicyUnknown("there is no policy of that name", found=name[:255], expected=known)
