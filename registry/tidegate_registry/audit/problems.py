"""What keeps the log from going on. Each stops the integrator until an operator has looked."""

from __future__ import annotations

from typing import ClassVar, Self

from tidegate.errors import Conflict, Unreachable

RESTORE = "`tidegate-registry restore` compares both and puts back what is missing"


class LogHalted(Unreachable):
    """The log does not go on: the published log and the database do not fit together."""

    code = "log-halted"
    summary: ClassVar[str] = "the audit log does not go on"

    @classmethod
    def noted(cls) -> Self:
        """Say that the leader found it so; what exactly is in its log."""
        return cls(cls.summary, hint=RESTORE)


class LogAhead(LogHalted):
    """The published log has entries that the database does not know: it is an old dump, or a replica that lagged.

    Nothing is written until they are back: it could contradict what was published.
    """

    code = "log-ahead"
    summary = "the database is older than the published log; nothing is written until it has caught up"

    @classmethod
    def by(cls, published: int, assigned: int) -> Self:
        """Say how many entries the database lacks."""
        return cls(
            cls.summary,
            found=f"{assigned} entries in the database",
            expected=f"the {published} entries that were published",
            hint=RESTORE,
        )


class LogBehind(LogHalted):
    """The published log is smaller than it was: the bucket is an old copy, or somebody put back an old checkpoint."""

    code = "log-behind"
    summary = "the published log is smaller than what was published before"

    @classmethod
    def by(cls, published: int, noted: int) -> Self:
        """Say how many entries the published log lacks."""
        return cls(
            cls.summary, found=f"a checkpoint of {published} entries", expected=f"at least {noted}", hint=RESTORE
        )


class LogForked(LogHalted):
    """The published log and the database tell different stories, or a file of the log has other bytes than it must."""

    code = "log-forked"
    summary = "the published log and the database contradict each other"


HALTS: dict[str, type[LogHalted]] = {kind.code: kind for kind in (LogAhead, LogBehind, LogForked)}


class LogMissing(Conflict):
    """The bucket has no log, so nothing says that this database is the one that knows what the bucket holds."""

    code = "log-missing"
