"""What a release is made of and how: bill of materials, vulnerabilities, provenance."""

from __future__ import annotations

from typing import Final

from tidegate.formats.identity import ClaimName
from tidegate.formats.jcs import JsonObject
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_CYCLONEDX, PREDICATE_SPDX, PREDICATE_VULNERABILITIES
from tidegate.policy.inputs import Attested
from tidegate.policy.judge.attestation import latest_of
from tidegate.policy.judge.evidence import Wanted, count, measured_of, missing, too_old, who_can_sign
from tidegate.policy.judge.matter import About, Matter, ago, either
from tidegate.policy.judge.statements import moment_in
from tidegate.policy.load import LoadedRequirement
from tidegate.policy.requirements import Severity, VulnerabilitiesWanted, show_duration
from tidegate.policy.verdict import Finding, State

SBOM_TYPES: Final = {"cyclonedx": PREDICATE_CYCLONEDX, "spdx": PREDICATE_SPDX}
RANKS: Final = {severity.value: rank for rank, severity in enumerate(Severity)}
MAX_TOLD: Final = 5


def judge_sbom(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D21: there is a bill of materials in one of the forms."""
    asked = loaded.requirement.sbom
    if asked is None:
        return ()
    for form in asked.formats:
        latest = count(matter, Wanted(SBOM_TYPES[form], asked.signer)).latest
        if latest is not None:
            listed = (latest.view or {}).get("components")
            parts = "" if listed is None else f" of {listed} components"
            return (about.met(f"there is a bill of materials ({form}){parts}", measured=measured_of(latest)),)
    wanted = Wanted(SBOM_TYPES[asked.formats[0]], asked.signer)
    finding = missing(about, matter, wanted, count(matter, wanted))
    message = f"there is no bill of materials ({either(asked.formats)})"
    return (about.unmet(message, found=finding.found, hint=finding.hint, who_can=finding.who_can),)


def judge_vulnerabilities(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D22: the latest scan is young enough and found nothing worse than is tolerated."""
    asked = loaded.requirement.vulnerabilities
    if asked is None:
        return ()
    wanted = Wanted(PREDICATE_VULNERABILITIES, asked.signer)
    latest, finding = latest_of(matter, wanted, about, count(matter, wanted))
    if latest is None or finding is not None:
        return (finding,) if finding is not None else ()
    return (_judge_scan(matter, about, asked, latest, wanted),)


def judge_provenance(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D23: a provenance is by a builder of the level, by the charter's table, and by one of the builders named."""
    asked, charter = loaded.requirement.provenance, matter.inputs.charter
    if asked is None or charter is None:
        return () if asked is None else (about.unmet("there is no charter that says what builders are worth"),)
    wanted = Wanted(PREDICATE_SLSA_PROVENANCE, None)
    counted = count(matter, wanted)
    if counted.latest is None:
        return (missing(about, matter, wanted, counted),)
    found = []
    for attested in counted.attestations:
        builder = attested.claims.get(ClaimName.BUILD_SIGNER_URI)
        level = charter.builder_level(builder, attested.claims.get(ClaimName.SOURCE_REPOSITORY_URI))
        found.append((level, builder or "no builder"))
        if level >= asked.level and (not asked.builders or builder in asked.builders):
            measured = {**measured_of(attested), "level": level, "builder": builder}
            return (about.met(f"it was built at SLSA level {level}", found=builder, measured=measured),)
    level, builder = max(found)
    expected = f"level {asked.level}" + (f" by {either(asked.builders)}" if asked.builders else "")
    return (
        about.unmet(
            "its build is not proven well enough",
            found=f"level {level} by {builder}",
            expected=expected,
            hint="build it with a builder that the charter's `builders` table grants the level",
            who_can=("the publisher",),
            measured={"level": level, "builder": builder},
        ),
    )


def _judge_scan(
    matter: Matter, about: About, asked: VulnerabilitiesWanted, latest: Attested, wanted: Wanted
) -> Finding:
    if (old := too_old(about, matter, latest, asked.max_age, wanted)) is not None:
        return old
    view, measured, who_can = latest.view or {}, measured_of(latest), who_can_sign(matter, wanted)
    finished = moment_in(view, "scanFinishedAt")
    if asked.max_age is not None and (finished is None or matter.now - finished > asked.max_age):
        # a signature of today about a scan of last year says nothing of what has been found since
        return about.unmet(
            "the latest vulnerability scan is too old",
            found="no time"
            if finished is None
            else f"finished {ago(matter.now - finished)}, at {moment_text(finished)}",
            expected=f"at most {show_duration(asked.max_age)} ago",
            hint="scan it again",
            who_can=who_can,
            measured=measured,
        )
    worse = _worse_than_tolerated(view, asked)
    if worse is None:
        worse = _counted_worse(view, asked)
    tolerated = f"nothing above {asked.at_most.value}"
    if worse is None:
        return about.unmet(
            "the scan does not tell its findings one by one",
            expected=tolerated,
            hint="attach a scan with its findings",
            who_can=who_can,
            measured=measured,
            state=State.INCONCLUSIVE,
        )
    measured = {**measured, "worse": [*worse]}
    if not worse:
        return about.met(f"the scan found {tolerated}", measured=measured)
    more = f" and {len(worse) - MAX_TOLD} more" if len(worse) > MAX_TOLD else ""
    return about.unmet(
        f"the scan found vulnerabilities above {asked.at_most.value}",
        found=f"{', '.join(worse[:MAX_TOLD])}{more}",
        expected=tolerated,
        hint="mend them and publish the next version, or tolerate one by name under `ignore`",
        who_can=("the publisher",),
        measured=measured,
    )


def _worse_than_tolerated(view: JsonObject, asked: VulnerabilitiesWanted) -> list[str] | None:
    """Give the findings above what is tolerated; None when the view does not tell them one by one.

    A severity that nobody can read counts as critical.
    """
    findings = view.get("findings")
    if not isinstance(findings, list):
        return None
    worse = []
    for finding in findings:
        one = finding if isinstance(finding, dict) else {}
        severity = str(one.get("severity"))
        rank = RANKS.get(severity, RANKS[Severity.CRITICAL])
        if rank > RANKS[asked.at_most] and one.get("id") not in asked.ignore:
            worse.append(f"{one.get('id')} ({severity})")
    return worse


def _counted_worse(view: JsonObject, asked: VulnerabilitiesWanted) -> list[str] | None:
    """Give how many are worse than is tolerated where they are only counted; None when `ignore` may speak of them."""
    counts = view.get("counts")
    if not isinstance(counts, dict):
        return None
    worse = {
        severity: number
        for severity, number in counts.items()
        if isinstance(number, int) and number and RANKS.get(severity, RANKS[Severity.CRITICAL]) > RANKS[asked.at_most]
    }
    if worse and sum(worse.values()) <= len(asked.ignore):
        return None
    return [f"{number} {severity}" for severity, number in worse.items()]
