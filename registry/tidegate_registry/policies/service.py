"""Changing a policy: propose, agree, apply. Each is judged under the policy in force, never under the one proposed.

Texts are checked before the lock is asked for; under it everything is looked at again: the version that the edit was
made from, the roles of author and approvers by their latest tokens, the overlays that rest on the document, and whether
enough people could change it again. Spec page: docs/spec/policy.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate.errors import PolicyInvalid
from tidegate.policy.changes import changes
from tidegate.policy.editing import able_editors, judge_agreement, judge_lockout, may_edit, not_an_editor
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY
from tidegate_registry.access.callers import caller_bytes, caller_of, owner_of, parse_caller
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.policies.errors import (
    PolicyEditRefused,
    PolicyLockout,
    PolicyStale,
    PolicyUnchanged,
    PolicyUnknown,
    ProposalClosed,
)
from tidegate_registry.policies.events import PolicyApproved, PolicyProposed
from tidegate_registry.policies.proposals import (
    Proposal,
    ProposalState,
    find_row,
    judge_by,
    known_here,
    number_of,
    proposal_of,
)
from tidegate_registry.policies.source import PolicySet, PolicyVersion, version_of
from tidegate_registry.policies.store import NewVersion, changing, record_version
from tidegate_registry.policies.tables import PolicyApprovalRow, PolicyHeadRow, PolicyProposalRow, PolicyVersionRow
from tidegate_registry.policies.validate import check_overlays, check_text
from tidegate_registry.promotion.people import note_caller

if TYPE_CHECKING:
    from tidegate.errors import Reason
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_DIGITS = 9  # of a version's number


def propose(
    app: Services, who: Principal, name: str, text: bytes, *, reason: str, base: int, reverts: int | None = None
) -> Proposal:
    """Propose `text` as the version of `name` after number `base`; where nobody else must agree, it is in force.

    The same text by the same author from the same version is the proposal that there is: its answer may have been lost.
    Raises PolicyInvalid with every mistake, PolicyStale with the difference, PolicyUnchanged, PolicyLockout,
    PolicyEditRefused, NoPolicy.
    """
    with app.db.read() as tx:
        _check(app.policies.current(tx), name, text)
    with changing(app) as (tx, head):
        now = app.clock()
        current = app.policies.current(tx)
        sent = _sent_before(tx, who, name, text, base)
        if sent is not None and sent.applied in (None, number_of(current, name)):
            same = standing_of(app, tx, current, sent)
            if same.state is not ProposalState.STALE:
                return same
        _check_base(tx, current, name, base)
        before = current.versions.get(name)
        if before is not None and before.text == text:
            raise PolicyUnchanged("that is the text in force", found=f"version {before.number}, {before.digest}")
        policy = judge_by(current, name)
        author = note_caller(tx, who, now)
        if not may_edit(policy, name, author):
            raise PolicyEditRefused.because(f"the policy {name} is not changed", [not_an_editor(policy, name, author)])
        loaded = _check(current, name, text)
        if name == COMPANY and not able_editors(loaded, known_here(app, tx)):
            raise PolicyLockout.because(
                "the document would leave nobody who could change it", _lockout(app, tx, loaded)
            )
        row = PolicyProposalRow(
            id=audit.make_event_id(now, app.entropy),
            name=name,
            base=base,
            text=text,
            digest=Digest.of(text),
            author=caller_bytes(author),
            person=policy.people.of(author),
            reason=reason,
            reverts=reverts,
            state=ProposalState.OPEN,
            event_id="",
            proposed_at=now,
        )
        entry = PolicyProposed(
            at=now,
            actor=Actor.of(who),
            policy=name,
            proposal=row.id,
            base=base,
            digest=row.digest,
            reason=reason,
            person=row.person,
            reverts=reverts,
        )
        row.event_id = audit.append(tx, entry, entropy=app.entropy)
        tx.add(row)
        tx.flush()
        return _apply_if_complete(tx, app, head, row, by=Actor.of(who))


def _sent_before(tx: Tx, who: Principal, name: str, text: bytes, base: int) -> PolicyProposalRow | None:
    query = select(PolicyProposalRow).where(PolicyProposalRow.name == name, PolicyProposalRow.base == base)
    rows = tx.exec(query.where(PolicyProposalRow.digest == Digest.of(text)).order_by(col(PolicyProposalRow.id)))
    authors = ((row, parse_caller(row.author)) for row in rows)
    return next((row for row, by in authors if (by.issuer, by.identity) == (who.issuer, who.name)), None)


def approve(app: Services, who: Principal, name: str, proposal: str) -> Proposal:
    """Agree to a proposal; the last agreement that it needs puts it in force. The same caller again changes nothing.

    Raises ProposalUnknown, ProposalClosed, PolicyStale, PolicyEditRefused, and what may stand against applying it.
    """
    with changing(app) as (tx, head):
        now = app.clock()
        row, current = find_row(tx, name, proposal), app.policies.current(tx)
        _check_open(tx, current, row)
        caller, policy = caller_of(who), judge_by(current, name)
        against = judge_agreement(policy, name, parse_caller(row.author), caller)
        if against is not None:
            raise PolicyEditRefused.because(f"the agreement of {caller.identity} would not count", [against])
        if tx.get(PolicyApprovalRow, (row.id, owner_of(caller))) is not None:
            return _apply_if_complete(tx, app, head, row, by=Actor.of(who))
        note_caller(tx, who, now)
        entry = PolicyApproved(
            at=now,
            actor=Actor.of(who),
            policy=name,
            proposal=row.id,
            digest=row.digest,
            person=policy.people.of(caller),
        )
        event_id = audit.append(tx, entry, entropy=app.entropy)
        agreed = PolicyApprovalRow(
            proposal=row.id,
            key=owner_of(caller),
            approver=caller_bytes(caller),
            event_id=event_id,
            approved_at=now,
        )
        tx.add(agreed)
        tx.flush()
        return _apply_if_complete(tx, app, head, row, by=Actor.of(who))


def apply(app: Services, who: Principal, name: str, proposal: str) -> Proposal:
    """Put a proposal in force that has all it needs. Raises as `approve` does, with what is missing."""
    with changing(app) as (tx, head):
        now = app.clock()
        row, current = find_row(tx, name, proposal), app.policies.current(tx)
        _check_open(tx, current, row)
        caller = note_caller(tx, who, now)
        policy, author = judge_by(current, name), parse_caller(row.author)
        if not may_edit(policy, name, caller) and judge_agreement(policy, name, author, caller) is not None:
            raise PolicyEditRefused.because(f"the policy {name} is not changed", [not_an_editor(policy, name, caller)])
        done = _apply_if_complete(tx, app, head, row, by=Actor.of(who))
        if done.lockout:
            raise PolicyLockout.because("too few could change the policy afterwards", done.missing)
        if done.state is not ProposalState.APPLIED:
            raise PolicyEditRefused.because(f"the policy {name} is not changed yet", done.missing)
        return done


def revert(app: Services, who: Principal, name: str, number: int, *, reason: str, base: int) -> Proposal:
    """Propose the text of version `number` again. Raises PolicyUnknown, and as `propose`."""
    with app.db.read() as tx:
        old = find_version(tx, name, number)
    return propose(app, who, name, old.text, reason=reason, base=base, reverts=number)


def find_version(tx: Tx, name: str, number: int) -> PolicyVersion:
    """Give one version. Raises PolicyUnknown."""
    row = tx.get(PolicyVersionRow, (name, number))
    if row is None:
        raise PolicyUnknown("there is no such version of that policy", found=f"{name} {number}")
    return version_of(row)


def number_of_tag(app: Services, name: str, tag: str) -> int:
    """Give the number of the version with this entity tag: of this number *and* this text. Raises PolicyStale."""
    digits = tag.partition(".")[0].removeprefix('"')
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else 0
    with app.db.read() as tx:
        row = tx.get(PolicyVersionRow, (name, number))
    if row is None or version_of(row).tag != tag:
        raise PolicyStale(f"that is the ETag of no version of {name}", found=tag[:80], hint="fetch the policy again")
    return number


def _apply_if_complete(tx: Tx, app: Services, head: PolicyHeadRow, row: PolicyProposalRow, *, by: Actor) -> Proposal:
    """Put it in force if the policy in force lets it be; else give it as it stands."""
    current = app.policies.current(tx)
    standing = standing_of(app, tx, current, row)
    if standing.consent is None or standing.missing:
        return standing
    _check(current, row.name, row.text)
    new = NewVersion(
        name=row.name,
        text=row.text,
        author=standing.author,
        reason=row.reason,
        before=current.versions.get(row.name),
        proposal=row.id,
        reverts=row.reverts,
        approvers=standing.consent.persons,
    )
    version = record_version(tx, app, head, new, by=by)
    row.state, row.applied, row.closed_at = ProposalState.APPLIED, version.number, version.applied_at
    tx.add(row)
    tx.flush()
    return replace(standing, state=ProposalState.APPLIED, applied=row.applied, closed_at=row.closed_at)


def standing_of(app: Services, tx: Tx, current: PolicySet, row: PolicyProposalRow) -> Proposal:
    """Give a proposal with all that holds it up: its text is looked at, too."""
    found = proposal_of(tx, current, row)
    if found.consent is None or not found.consent.complete or row.name != COMPANY:
        return found  # until enough have agreed, those who will are not all known yet
    return replace(found, lockout=_lockout(app, tx, check_text(current, row.name, row.text)))


def _check(current: PolicySet, name: str, text: bytes) -> LoadedPolicy:
    """Load the text, and every overlay on it. Raises PolicyInvalid with every mistake."""
    loaded = check_text(current, name, text)
    if name == COMPANY:
        check_overlays(current, text)
    return loaded


def _check_open(tx: Tx, current: PolicySet, row: PolicyProposalRow) -> None:
    if row.state == ProposalState.APPLIED:
        raise ProposalClosed("the proposal is in force already", found=f"version {row.applied}")
    _check_base(tx, current, row.name, row.base)


def _check_base(tx: Tx, current: PolicySet, name: str, base: int) -> None:
    """Refuse an edit of another version than the one in force, and say what changed between them."""
    now, number = current.versions.get(name), number_of(current, name)
    if number == base:
        return
    row = tx.get(PolicyVersionRow, (name, base))
    what = difference(current, name, row.text, now.text) if row is not None and now is not None else ()
    raise PolicyStale(
        f"the policy {name} has changed since version {base}" if base else f"there is a policy {name} already",
        found=f"version {number}{': ' if what else ''}{'; '.join(what)}",
        expected=f"an edit of version {number}",
        hint="fetch it with `tidegate policy show`, make the change there, and propose again",
    )


def difference(current: PolicySet, name: str, old: bytes | None, new: bytes) -> tuple[str, ...]:
    """Say in sentences what `new` changes in `old`, both texts of one policy."""
    try:
        before, after = None if old is None else check_text(current, name, old), check_text(current, name, new)
    except PolicyInvalid as error:  # an overlay that was written for another document need not fit the one of today
        return (f"the two cannot be compared any more: {error.message}",)
    if before is None or before.overlay is None:
        return changes(None if before is None else before.document, after.document)
    return changes(before.overlay, after.overlay or after.document)


def _lockout(app: Services, tx: Tx, policy: LoadedPolicy) -> tuple[Reason, ...]:
    return judge_lockout(policy, known_here(app, tx))
