"""A checkpoint opened: signed by the log, and by as many of its witnesses as a policy asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tidegate.errors import CheckpointInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate.tlog.note import Note, VerifiedNote, VerifierKey, verify_note
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.steps import LogStep, run_steps
from tidegate.tlog.text import shown

MAX_CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours a witness's clock may be


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint that a policy accepts. `cosigned`: the witnesses that stand behind it, with the time of each.

    `raw`: the note as it was signed, to keep and to show.
    """

    checkpoint: Checkpoint
    note: Note
    cosigned: Mapping[VerifierKey, datetime]

    @property
    def raw(self) -> bytes:
        """The note as bytes."""
        return self.note.raw


def open_checkpoint(raw: bytes, policy: LogPolicy, *, now: datetime | None = None) -> OpenedCheckpoint:
    """Verify a checkpoint: steps L1 to L9. `now`: aware; None where cosignatures of the future cannot be told.

    Raises NoteInvalid (codes `note-too-large`, `note-malformed`, `note-signature-invalid`, `note-unsigned`),
    CheckpointInvalid (codes `checkpoint-malformed`, `checkpoint-unsigned`, `checkpoint-root`, `cosignature-future`,
    `witnesses-missing`). Sources: C2SP tlog-checkpoint, tlog-cosignature, tlog-policy.
    """
    attempt = _Attempt(verify_note(raw, policy.keys), policy, now)
    run_steps(CHECKPOINT_STEPS, attempt)
    return OpenedCheckpoint(attempt.checkpoint, attempt.verified.note, attempt.cosigned)


@dataclass(slots=True)
class _Attempt:
    verified: VerifiedNote
    policy: LogPolicy
    now: datetime | None
    checkpoint: Checkpoint = field(default_factory=lambda: Checkpoint("", 0, b""))

    @property
    def cosigned(self) -> dict[VerifierKey, datetime]:
        """The witnesses' keys that signed, with their times."""
        known = {member.key for member in self.policy.witnesses.values()}
        times = {key: at for key, at in self.verified.by.items() if key in known and at is not None}
        return {key: _EPOCH + timedelta(seconds=min(at, _LAST_SECOND)) for key, at in times.items()}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)  # the format has room for 2^63


def _check_text(at: _Attempt) -> None:
    at.checkpoint = Checkpoint.parse(at.verified.note.text)


def _check_log(at: _Attempt) -> None:
    logs = [member.key for member in at.policy.logs]
    if not any(key in at.verified.by and key.name == at.checkpoint.origin for key in logs):
        raise CheckpointInvalid(
            "the checkpoint is not signed by the log that it names",
            code="checkpoint-unsigned",
            found=f"origin {shown(at.checkpoint.origin)}, signed by "
            + (", ".join(shown(key.name) for key in at.verified.by) or "nobody"),
            expected=" or ".join(shown(str(key)) for key in logs),
            hint="compare origin and key with those in your trust file",
            step="L6",
        )


def _check_empty(at: _Attempt) -> None:
    if (at.checkpoint.size == 0) != (at.checkpoint.root == EMPTY_ROOT):
        raise CheckpointInvalid(
            "an empty tree has one root, and no other tree has it",
            code="checkpoint-root",
            found=f"{at.checkpoint.size} entries, root {at.checkpoint.root.hex()}",
            step="L7",
        )


def _check_times(at: _Attempt) -> None:
    late = [key for key, time in at.cosigned.items() if at.now is not None and time > at.now + MAX_CLOCK_SKEW]
    if late:
        raise CheckpointInvalid(
            f"the cosignature of {late[0].name} is from the future",
            code="cosignature-future",
            found=at.cosigned[late[0]].isoformat(),
            expected=f"at most {MAX_CLOCK_SKEW.seconds // 60} minutes after {at.now}",
            hint="see that the clock here is right",
            step="L8",
        )


def _check_quorum(at: _Attempt) -> None:
    if not at.policy.is_met_by(at.cosigned.keys()):
        raise CheckpointInvalid(
            "too few witnesses stand behind the checkpoint",
            code="witnesses-missing",
            found=", ".join(shown(key.name) for key in at.cosigned) or "none of them",
            expected=at.policy.describe(),
            hint="wait for a checkpoint that they have cosigned, or ask the log's operator",
            step="L9",
        )


CHECKPOINT_STEPS = (
    LogStep("L5", "the text is that of a checkpoint", _check_text),
    LogStep("L6", "the log that it names signed it", _check_log),
    LogStep("L7", "an empty tree has the root of nothing", _check_empty),
    LogStep("L8", "no cosignature is from the future", _check_times),
    LogStep("L9", "the quorum of witnesses cosigned it", _check_quorum),
)
