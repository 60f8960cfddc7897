"""Proofs that leave the auditor's hands: a file that shows to anybody, offline, that an entry is in the log."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tidegate.auditor.audited import AuditedLog
from tidegate.auditor.find import FoundEntry
from tidegate.errors import InvalidInput
from tidegate.tlog.proof import MAX_PROOF_BYTES, LogProof, ProvenEntry, verify_proof
from tidegate.tlog.tiles import MAX_ENTRY_BYTES
from tidegate.verify.trust import LogTrust

PROOF_SUFFIX = ".tlog-proof"  # C2SP tlog-proof, "Format"
ENTRY_SUFFIX = ".json"


def make_proof(audited: AuditedLog, found: FoundEntry, *, now: datetime) -> bytes:
    """Give a proof, once it verifies as whoever gets it will verify it. Raises LogRefused."""
    raw = LogProof(found.index, found.path, audited.head.raw).raw
    verify_proof(raw, found.raw, audited.trust.policy, now=now)
    return raw


def entry_beside(proof: Path) -> Path:
    """Give where the entry is kept that a proof file is about."""
    return proof.with_name(proof.name.removesuffix(PROOF_SUFFIX) + ENTRY_SUFFIX)


def check_proof(proof: Path, entry: Path | None, trust: LogTrust, *, now: datetime) -> tuple[ProvenEntry, bytes]:
    """Verify a proof file and give what it proves, and the entry. Opens no socket and reads no state.

    `entry`: the entry's file; None: the one beside the proof, else what the proof carries along as `extra`.
    Raises InvalidInput (code "log-entry-not-given"), LogRefused.
    """
    raw = _read(proof, MAX_PROOF_BYTES)
    beside = entry_beside(proof)
    if entry is None and beside != proof and beside.is_file():
        entry = beside
    if entry is not None:
        content: bytes | None = _read(entry, MAX_ENTRY_BYTES + 1).removesuffix(b"\n")  # as editors and `>` leave it
    else:
        content = LogProof.parse(raw).extra
    if content is None:
        raise InvalidInput(
            "which entry is it a proof of?",
            code="log-entry-not-given",
            expected=f"{beside}, or the entry's file as a second argument",
            hint="a proof holds no entry: get its exact bytes with `tidegate log show ENTRY --json`",
        )
    return verify_proof(raw, content, trust.policy, now=now), content


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise InvalidInput(f"{path} is too large", expected=f"at most {limit} bytes")
    return raw
