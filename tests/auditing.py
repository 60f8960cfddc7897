"""An auditor of small logs: a state of their own, a clock by hand, and what they find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.smalllog import ORIGIN, SmallLog
from tidegate.auditor.audited import AuditedLog, open_audited, record_verified
from tidegate.auditor.source import folder_source
from tidegate.auditor.state import LogStates
from tidegate.auditor.verify import WholeLog, verify_log
from tidegate.errors import LogRefused
from tidegate.verify.trust import LogTrust

NOW = datetime(2026, 4, 1, tzinfo=UTC)


class Auditor:
    """Audits `log`, or whatever log is shown instead of it; a minute later each time."""

    def __init__(self, folder: Path, log: SmallLog) -> None:
        self.states, self.log, self.now = LogStates(folder), log, NOW
        self.trust = LogTrust(log.key)

    def look(self, log: SmallLog | None = None) -> AuditedLog:
        """Open what is shown."""
        self.now += timedelta(minutes=1)
        return open_audited(folder_source((log or self.log).folder), self.trust, self.states, now=self.now)

    def verify(self, log: SmallLog | None = None, *, since_last: bool = False, deep: bool = False) -> WholeLog:
        """Verify every file, as `tidegate log verify` does."""
        audited = self.look(log)
        whole = verify_log(audited, since_last=since_last, deep=deep)
        record_verified(audited, self.states)
        return whole

    def refusal(self, log: SmallLog | None = None, *, since_last: bool = False) -> LogRefused:
        """Verify what must not pass; give the refusal."""
        with pytest.raises(LogRefused) as refused:
            self.verify(log, since_last=since_last)
        return refused.value

    @property
    def state(self) -> Path:
        """The file of what was seen."""
        return self.states.path(ORIGIN)

    @property
    def evidence(self) -> list[Path]:
        """The folders of evidence."""
        return sorted((self.states.folder / "evidence").glob("*/*"))


def code_of(error: LogRefused) -> str:
    """Give the code of the first reason."""
    return error.reasons[0].code
