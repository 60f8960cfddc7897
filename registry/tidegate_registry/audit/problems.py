"""What keeps the log from going on. Each stops the integrator until an operator has looked."""

from __future__ import annotations

from typing import Self

from tidegate.errors import Conflict, TidegateError, Unreachable

RESTORE = "`tidegate-registry restore` compares both and puts back what is missing"


class LogAhead(Unreachable):
    """The published log has entries that the database does not know: it is an old dump, or a replica that lagged.

    Nothing is written until they are back: it could contradict what was published.
    """

    code = "log-ahead"

    @classmethod
    def by(cls, published: int, assigned: int) -> Self:
        """Say how many entries the database lacks."""
        return cls(
            "the database is older than the published log; nothing is written until it has caught up",
            found=f"{assigned} entries in the database",
            expected=f"the {published} entries that were published",
            hint=RESTORE,
        )

    @classmethod
    def noted(cls) -> Self:
        """Say that the leader found it so."""
        return cls(
            "the database is older than the published log; nothing is written until it has caught up", hint=RESTORE
        )


class LogBehind(TidegateError):
    """The published log is smaller than it was: the bucket is an old copy, or somebody put back an old checkpoint."""

    code = "log-behind"

    @classmethod
    def by(cls, published: int, noted: int) -> Self:
        """Say how many entries the published log lacks."""
        return cls(
            "the published log is smaller than what was published before",
            found=f"a checkpoint of {published} entries",
            expected=f"at least {noted}",
            hint=RESTORE,
        )


class LogForked(TidegateError):
    """The published log and the database tell different stories, or a file of the log has other bytes than it must."""

    code = "log-forked"


class LogMissing(Conflict):
    """The bucket has no log, so nothing says that this database is the one that knows what the bucket holds."""

    code = "log-missing"


class LogHalted(Unreachable):
    """The log does not go on: what the operator's log says has to be looked at first."""

    code = "log-halted"
