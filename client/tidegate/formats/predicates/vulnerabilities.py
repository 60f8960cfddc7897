"""What a scanner found: in-toto's vulnerabilities predicate, version 0.2.

Source: in-toto attestation, spec/predicates/vulns_02.md. It is others' form, so unknown members are let pass.
Spec page: docs/spec/evidence-of-others.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.members import MAX_NAME_CHARACTERS, Members

MAX_FINDINGS: Final = 20_000
MAX_FINDINGS_IN_VIEW: Final = 2_000  # they go into each record of a decision that read them
MAX_SCORES: Final = 50

_CVSS: Final = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"), (0.0, "none"))  # CVSS v3.1, section 5
_OTHER_WORDS: Final = {
    "important": "high",
    "moderate": "medium",
    "negligible": "low",
    "info": "none",
    "informational": "none",
}
_MAX_CVSS: Final = 10.0


class Severity(IntEnum):
    """How bad a finding is; greater is worse. One whose severity nobody can read is worse than any."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4
    UNKNOWN = 5

    @property
    def label(self) -> str:
        """The name used in views."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class VulnerabilityFinding:
    """One vulnerability and the worst of the severities that the scanner gave it."""

    id: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class VulnerabilitiesPredicate:
    """One scan. Times are aware. `database_updated_at`: how old the scanner's knowledge was."""

    scanner: str
    scanner_version: str | None
    database_updated_at: datetime | None
    started_at: datetime | None
    finished_at: datetime
    findings: tuple[VulnerabilityFinding, ...]

    @classmethod
    def parse(cls, predicate: JsonObject) -> VulnerabilitiesPredicate:
        """Read the predicate. Raises StatementInvalid (code "vulnerabilities-malformed").

        Without `scanner.result` it is refused: a list that is not there is not a list without findings.
        """
        members = Members(predicate, "vulnerabilities-malformed", "the vulnerability scan cannot be read")
        scanner, metadata = members.object("scanner"), members.object("metadata")
        if not scanner.has("result"):
            raise members.refusal("scanner.result is missing")
        database = scanner.object("db") if scanner.has("db") else None
        return cls(
            scanner=scanner.text("uri"),
            scanner_version=scanner.text("version", MAX_NAME_CHARACTERS) if scanner.has("version") else None,
            database_updated_at=database.any_moment_or_none("lastUpdate") if database is not None else None,
            started_at=metadata.any_moment_or_none("scanStartedOn"),
            finished_at=metadata.any_moment("scanFinishedOn"),
            findings=tuple(_finding(item) for item in scanner.objects("result", MAX_FINDINGS)),
        )

    def as_json(self) -> JsonObject:
        """Give the predicate, with one severity for each finding."""
        scanner: JsonObject = {"uri": self.scanner}
        if self.scanner_version is not None:
            scanner["version"] = self.scanner_version
        if self.database_updated_at is not None:
            scanner["db"] = {"lastUpdate": moment_text(self.database_updated_at)}
        scanner["result"] = [
            {"id": finding.id, "severity": [{"method": "worst", "score": finding.severity.label}]}
            for finding in self.findings
        ]
        metadata: JsonObject = {"scanFinishedOn": moment_text(self.finished_at)}
        if self.started_at is not None:
            metadata["scanStartedOn"] = moment_text(self.started_at)
        return {"scanner": scanner, "metadata": metadata}

    def view(self) -> JsonObject:
        """Give what policies read: scanner, times, findings counted by severity, and their names, worst first.

        A list that is too long is left out: a condition that found nothing in a part of it would be wrong.
        """
        counted = Counter(finding.severity for finding in self.findings)
        worst = sorted(self.findings, key=lambda finding: (-finding.severity, finding.id))
        result: JsonObject = {
            "scanner": self.scanner,
            "scanFinishedAt": moment_text(self.finished_at),
            "total": len(self.findings),
            "counts": {severity.label: counted[severity] for severity in Severity},
        }
        if len(worst) <= MAX_FINDINGS_IN_VIEW:
            result["findings"] = [{"id": finding.id, "severity": finding.severity.label} for finding in worst]
        if self.scanner_version is not None:
            result["scannerVersion"] = self.scanner_version
        if self.database_updated_at is not None:
            result["databaseUpdatedAt"] = moment_text(self.database_updated_at)
        return result


def read_severity(method: str, score: str) -> Severity:
    """Read a severity: a word, or a CVSS base score from 0.0 to 10.0. What is neither is UNKNOWN.

    A number counts only where the method says that it is one of CVSS: EPSS, too, gives numbers, of another kind.
    """
    word = score.strip().lower()
    word = _OTHER_WORDS.get(word, word)
    known = {severity.label: severity for severity in Severity}
    if word in known:
        return known[word]
    if not any(name in method.lower() for name in ("cvss", "nvd")):
        return Severity.UNKNOWN
    try:
        number = float(word)
    except ValueError:
        return Severity.UNKNOWN
    if not 0 <= number <= _MAX_CVSS:  # NaN, too
        return Severity.UNKNOWN
    return known[next(label for least, label in _CVSS if number >= least)]


def _finding(members: Members) -> VulnerabilityFinding:
    scores = [
        read_severity(item.text("method", MAX_NAME_CHARACTERS), item.text("score", MAX_NAME_CHARACTERS))
        for item in members.objects("severity", MAX_SCORES)
    ]
    # a scanner that cannot say it in one method may in another; only what it says in none is unknown
    known = [score for score in scores if score is not Severity.UNKNOWN]
    return VulnerabilityFinding(members.name("id"), max(known, default=Severity.UNKNOWN))
