"""One decision, decided again: what differs from its record, and what would come out otherwise today."""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.auditor.replay.admission import AdmissionCase
from tidegate.auditor.replay.case import Case, LackingError
from tidegate.auditor.replay.evidence import Bench
from tidegate.auditor.replay.outcome import Replayed, State, state_of
from tidegate.auditor.replay.promotion import PromotionCase
from tidegate.auditor.replay.state import ADMISSION
from tidegate.auditor.replay.steps import CHANGED, run
from tidegate.auditor.replay.task import Task, record_digest
from tidegate.errors import Reason, TidegateError
from tidegate.verify.trust import Trust

CONTRADICTS = "decision-mismatch"  # the record contradicts itself: it is no record that a registry wrote


def replay(task: Task, bench: Bench) -> Replayed:
    """Replay one decision. Raises nothing that its record, entry or objects could bring about."""
    try:
        case = _read(task, bench)
    except LackingError as error:
        return _unread(task, (error.reason,))
    except TidegateError as error:
        return _unread(task, error.reasons)
    differing, lacking = run(case)
    state, reasons = state_of(differing, lacking)
    entry, facts = task.entry, case.facts
    return Replayed(
        index=-1 if entry.index is None else entry.index,
        entry=entry.id,
        type=entry.type,
        at=entry.at,
        about=facts.words,
        said="allowed" if facts.allowed else "refused",
        state=state,
        reasons=reasons,
        today=tuple(_today(case, bench.today)),
    )


def _read(task: Task, bench: Bench) -> Case:
    """Y1: the record that the entry names is there, and is one."""
    digest = record_digest(task.entry)
    raw = task.objects.get(digest)
    if raw is None:
        absent = task.absent.get(digest)
        raise LackingError(absent or Reason("log-object-missing", "the record is not there", digest, step="Y1"))
    return AdmissionCase(task, bench, raw) if task.entry.type == ADMISSION else PromotionCase(task, bench, raw)


def _unread(task: Task, reasons: Iterable[Reason]) -> Replayed:
    told, entry = tuple(reasons), task.entry
    altered = any(each.code == CONTRADICTS or each.code in CHANGED for each in told)
    names = [entry.data.get(name) for name in ("repository", "version", "channel")]
    return Replayed(
        index=-1 if entry.index is None else entry.index,
        entry=entry.id,
        type=entry.type,
        at=entry.at,
        about=" ".join(each for each in names if isinstance(each, str)),
        said="allowed" if entry.data.get("allowed") is True else "refused",
        state=State.DIFFERING if altered else State.NOT_REPLAYABLE,
        reasons=told,
    )


def _today(case: Case, trust: Trust | None) -> Iterable[Reason]:
    """Say what would come out otherwise with this version's engine, and under the auditor's own trust."""
    try:
        if not case.engine_is_todays:
            yield from case.verdict_differs()
        if trust is None or _is_trusted_today(case, trust):
            return
        allowed = case.allowed_today(trust)
    except LackingError:
        return  # which is told where the decision is replayed
    except TidegateError as error:
        yield from error.reasons
        return
    if allowed != case.facts.allowed:
        yield Reason(
            "otherwise-under-todays-trust",
            f"under this auditor's trust file it would be {'allowed' if allowed else 'refused'}",
            found="allowed" if case.facts.allowed else "refused",
            hint="compare the charter and the roots of trust.yaml with those of the time",
        )


def _is_trusted_today(case: Case, trust: Trust) -> bool:
    charter, roots = trust.charters.for_agent(case.facts.agent), dict(case.facts.roots)
    if charter is None or case.facts.charter is None or charter.digest != case.facts.charter.digest:
        return charter is None and case.facts.charter is None
    return all(roots.get(name) == trust.root(name).digest for name in charter.roots)
