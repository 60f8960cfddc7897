"""What a decision rests on: slow parts first and outside, then everything else in the transaction that decides.

`prepare` verifies signatures again and compares bundles. `collect` runs under the agent's lock, sees whether that is
still what there is, and makes the plain values that `tidegate.policy.decide` judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlmodel import select

from tidegate.digest import Digest
from tidegate.formats.charter import Charter
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.types import APPROVER_TYPES, BREAK_GLASS_TYPES, PREDICATE_BREAK_GLASS
from tidegate.policy import inputs as given
from tidegate.policy.attested import approver_rule, attested_of
from tidegate.policy.inputs import Approval, Attested, Caller, Difference, Inputs
from tidegate_registry.access.callers import parse_caller
from tidegate_registry.access.principal import PrincipalKind
from tidegate_registry.artifacts import naming
from tidegate_registry.evidence.service import read_evidence, root_digests, verify_again
from tidegate_registry.promotion import channels, glass
from tidegate_registry.promotion.asked import newest_sequence
from tidegate_registry.promotion.difference import difference_from, floor_of
from tidegate_registry.promotion.people import known_as
from tidegate_registry.promotion.tables import FilingRow, HoldRow, PromotionRow, RevocationRow

if TYPE_CHECKING:
    from tidegate.policy.evidence import VerifiedAttestation
    from tidegate.verify.trust import Trust
    from tidegate_registry.artifacts.naming import Release
    from tidegate_registry.db import Tx
    from tidegate_registry.evidence.tables import EvidenceRow
    from tidegate_registry.services import Services

FILED_TYPES: Final = frozenset({*APPROVER_TYPES, *BREAK_GLASS_TYPES})  # what persons sign, and file with a token
Filed = tuple[str, str, str]  # the digest of a signed statement, and issuer and identity of who filed it
NOT_COMPARED: Final = Difference(unknown="a rollback compares nothing")


class Overtaken(Exception):
    """While it was prepared, what the decision rests on changed. Never leaves this room."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What was read before the slow work, and must still be so when it is decided.

    `evidence`, `baseline`: the signatures about the release and about what the channel serves, `serving`.
    """

    evidence: frozenset[str]
    serving: Digest | None
    baseline: frozenset[str]
    charter: Digest | None
    roots: tuple[tuple[str, Digest], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The slow parts, done."""

    basis: Basis
    charter: Charter | None
    attestations: tuple[VerifiedAttestation, ...]
    baseline: tuple[VerifiedAttestation, ...]
    difference: Difference | None


def prepare(app: Services, trust: Trust, release: Release, channel: str, action: Action) -> Prepared:
    """Verify again what is attached to `release` and to what the channel serves, and compare the two."""
    now = app.clock()
    charter = trust.charters.for_agent(release.repository)
    with app.db.read() as tx:
        serving = _serving(tx, release.repository, channel)
        rows = _evidence(app, tx, release, action)
        before = _evidence(app, tx, serving, action) if serving is not None else ()
    return Prepared(
        basis=_basis(rows, serving, before, trust, release.repository),
        charter=charter,
        attestations=_verified(app, trust, release, rows, now),
        baseline=_verified(app, trust, serving, before, now) if serving is not None else (),
        difference=_difference(app, serving, release, action),
    )


def collect(app: Services, tx: Tx, prepared: Prepared, row: PromotionRow, *, trust: Trust, now: datetime) -> Inputs:
    """Read what is left and give everything that the decision about `row` rests on, its break-glass statement included.

    Call `naming.lock_agent` first; `row` and what was filed for it are flushed. Raises Overtaken.
    """
    release = naming.find_release(tx, row.repository, row.version)
    if release is None:
        raise Overtaken
    action = Action(row.action)
    serving = _serving(tx, row.repository, row.channel)
    rows = _evidence(app, tx, release, action)
    before = _evidence(app, tx, serving, action) if serving is not None else ()
    if _basis(rows, serving, before, trust, row.repository) != prepared.basis:
        raise Overtaken
    attested = tuple(attested_of(each) for each in prepared.attestations)
    approvals = tuple(_approvals(tx, prepared, row.channel, attested, _filers(tx, row)))
    broken = [each for each in approvals if each.attested.predicate_type == PREDICATE_BREAK_GLASS and each.filed_by]
    latest = max(broken, key=lambda each: each.attested.order, default=None)
    return Inputs(
        request=_request(tx, row, latest),
        release=release_input(tx, release),
        channel=_channel(tx, prepared, row, serving, now),
        charter=prepared.charter,
        attestations=attested,
        approvals=tuple(each for each in approvals if each.attested.predicate_type != PREDICATE_BREAK_GLASS),
        difference=prepared.difference,
        tenures=tuple(
            given.Tenure(each.channel, each.since, each.until)
            for each in channels.tenures_of(tx, row.repository, row.digest)
        ),
        tasks=None,  # no host reports yet
        roots=prepared.basis.roots,
    )


def release_input(tx: Tx, release: Release) -> given.Release:
    """Describe a release to a policy."""
    facts = release.facts
    revoked = tx.get(RevocationRow, (release.repository, release.digest))
    listed = facts.get("channels")
    return given.Release(
        version=release.version,
        digest=release.digest,
        author=naming.author_of(release),
        admitted_at=release.admitted_at,
        facts=floor_of(release),
        channels=tuple(map(str, listed)) if isinstance(listed, list) else (),
        opaque=facts.get("opaque") is True,
        revoked=None if revoked is None else revoked.reason,
    )


def _serving(tx: Tx, repository: str, channel: str) -> Release | None:
    row = channels.find_channel(tx, repository, channel)
    return None if row is None else naming.find_release(tx, repository, row.version)


def _evidence(app: Services, tx: Tx, release: Release, action: Action) -> tuple[EvidenceRow, ...]:
    limit = app.settings.limits.evidence_per_decision
    rows = read_evidence(tx, release.repository, release.digest, limit=limit).rows
    if action is Action.PROMOTE:
        return rows
    return tuple(each for each in rows if each.predicate_type in FILED_TYPES)  # nothing else holds it up


def _basis(
    rows: Sequence[EvidenceRow],
    serving: Release | None,
    before: Sequence[EvidenceRow],
    trust: Trust,
    repository: str,
) -> Basis:
    charter = trust.charters.for_agent(repository)
    return Basis(
        frozenset(each.signature for each in rows),
        None if serving is None else serving.digest,
        frozenset(each.signature for each in before),
        None if charter is None else charter.digest,
        root_digests(trust),
    )


def _verified(
    app: Services, trust: Trust, release: Release, rows: Sequence[EvidenceRow], now: datetime
) -> tuple[VerifiedAttestation, ...]:
    charter = trust.charters.for_agent(release.repository)
    if charter is None:
        return ()
    good, _ = verify_again(
        app, trust, charter, repository=release.repository, subject=release.digest, rows=rows, now=now
    )
    return tuple(good)


def _difference(app: Services, serving: Release | None, release: Release, action: Action) -> Difference | None:
    if serving is None:
        return None
    return difference_from(app, serving, release) if action is Action.PROMOTE else NOT_COMPARED


def _request(tx: Tx, row: PromotionRow, broken: Approval | None) -> given.Request:
    asked = parse_caller(row.requester)
    return given.Request(
        id=row.id,
        action=Action(row.action),
        agent=row.repository,
        source=row.source,
        channel=row.channel,
        sequence=row.sequence,
        requester=_as_of_now(tx, asked),
        opened_at=row.opened_at,
        reason=row.reason,
        glass=broken,
    )


def _as_of_now(tx: Tx, asked: Caller) -> Caller:
    """Give a person by their latest token: whoever has lost a role since has lost it here.

    A pipeline stays what it was: its next run is set off by somebody else, who did not ask for this, or sign it.
    """
    latest = known_as(tx, asked.issuer, asked.identity) if asked.kind == PrincipalKind.HUMAN else None
    return latest or asked


def _channel(tx: Tx, prepared: Prepared, row: PromotionRow, serving: Release | None, now: datetime) -> given.Channel:
    history = channels.history_of(tx, row.repository, row.channel)
    size = prepared.charter.rollback_window if prepared.charter is not None else 0
    held = tx.get(HoldRow, (row.repository, row.channel, row.digest))
    return given.Channel(
        name=row.channel,
        serving=None if serving is None else release_input(tx, serving),
        serving_evidence=tuple(attested_of(each) for each in prepared.baseline),
        sequence=newest_sequence(tx, row.repository, row.channel),
        hold=None if held is None else f"a rollback left {held.version}: {held.reason}",
        debts=glass.overdue(tx, row.repository, now),
        window=channels.window_of(history, size),
        left=channels.left_by_rollback(history),
    )


def _approvals(
    tx: Tx, prepared: Prepared, channel: str, attested: Sequence[Attested], filers: Mapping[Filed, Caller]
) -> list[Approval]:
    """Give every statement by somebody whom the charter lists as approver or for break-glass."""
    found: list[Approval] = []
    for verified, each in zip(prepared.attestations, attested, strict=True):
        if prepared.charter is None:
            break
        rule = approver_rule(prepared.charter, verified, channel) if each.predicate_type in FILED_TYPES else None
        if rule is None:
            continue
        filer = filers.get((each.payload_digest, each.issuer, each.identity))
        known = known_as(tx, each.issuer, each.identity) if filer is None else _as_of_now(tx, filer)
        found.append(Approval(each, rule.human, filer, known))
    return found


def _filers(tx: Tx, row: PromotionRow) -> dict[Filed, Caller]:
    """Give who filed what for a request: who files is who signed, so another who signed the same stands apart."""
    found: dict[Filed, Caller] = {}
    for filing in tx.exec(select(FilingRow).where(FilingRow.promotion == row.id).order_by(FilingRow.event_id)):
        filer = parse_caller(filing.filer)
        found[filing.payload, filer.issuer, filer.identity] = filer
    return found
