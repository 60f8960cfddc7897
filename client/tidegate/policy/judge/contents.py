"""What a release is made of and how: bill of materials, vulnerabilities, provenance."""

from __future__ import annotations

from typing import Final

from tidegate.formats.identity import ClaimName
from tidegate.formats.jcs import JsonObject
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_CYCLONEDX, PREDICATE_SPDX, PREDICATE_VULNERABILITIES
from tidegate.policy.inputs import Attested
from tidegate.policy.judge.evidence import Wanted, counting, latest, measured_of, missing, too_old, who_can_sign
from tidegate.policy.judge.matter import MAX_SKEW, About, Matter, ago, either
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
        counted = latest(matter, Wanted(SBOM_TYPES[form], asked.signer))
        if counted is not None:
            listed = (counted.view or {}).get("components")
            parts = "" if listed is None else f" of {listed} components"
            return (about.met(f"there is a bill of materials ({form}){parts}", measured=measured_of(counted)),)
    wanted = Wanted(SBOM_TYPES[asked.formats[0]], asked.signer)
    finding = missing(about, matter, wanted)
    message = f"there is no bill of materials ({either(asked.formats)})"
    return (about.unmet(message, found=finding.found, hint=finding.hint, who_can=finding.who_can),)


def judge_vulnerabilities(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D22: the latest scan is young enough and found nothing worse than is tolerated."""
    asked = loaded.requirement.vulnerabilities
    if asked is None:
        return ()
    wanted = Wanted(PREDICATE_VULNERABILITIES, asked.signer)
    counted = latest(matter, wanted)
    if counted is None:
        return (missing(about, matter, wanted),)
    return (_judge_scan(matter, about, asked, counted, wanted),)


def judge_provenance(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D23: a provenance is by a builder of the level, by the charter's table, and by one of the builders named."""
    asked, charter = loaded.requirement.provenance, matter.inputs.charter
    if asked is None or charter is None:
        return () if asked is None else (about.unmet("there is no charter that says what builders are worth"),)
    wanted = Wanted(PREDICATE_SLSA_PROVENANCE, None)
    found = []
    for attested in counting(matter, wanted):
        builder = attested.claims.get(ClaimName.BUILD_SIGNER_URI)
        level = charter.builder_level(builder, attested.claims.get(ClaimName.SOURCE_REPOSITORY_URI))
        found.append((level, builder or "no builder"))
        if level >= asked.level and (not asked.builders or builder in asked.builders):
            measured = {**measured_of(attested), "level": level, "builder": builder}
            return (about.met(f"it was built at SLSA level {level}", found=builder, measured=measured),)
    if not found:
        return (missing(about, matter, wanted),)
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


def _judge_scan(matter: Matter, about: About, asked: VulnerabilitiesWanted, scan: Attested, wanted: Wanted) -> Finding:
    if (old := too_old(about, matter, scan, asked.max_age, wanted)) is not None:
        return old
    view, measured, who_can = scan.view or {}, measured_of(scan), who_can_sign(matter, wanted)
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
    if asked.max_age is not None and finished is not None and finished > matter.now + MAX_SKEW:
        return about.unmet(  # or it would be young for as long as it likes
            "the latest vulnerability scan says that it finished at a time that is yet to come",
            found=moment_text(finished),
            expected=f"at most {show_duration(asked.max_age)} ago",
            hint="scan it again, with a clock that is right",
            who_can=who_can,
            measured=measured,
        )
    worse = _worse_than_tolerated(view, asked)
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
    """Give the findings above what is tolerated, or how many there are where a long list is only counted.

    None when that cannot be told: nothing is listed or counted, or `ignore` may speak of all that are counted. A
    severity that nobody can read counts as critical.
    """
    findings, counts = view.get("findings"), view.get("counts")
    most = RANKS[asked.at_most]
    tolerated = {word for word, rank in RANKS.items() if rank <= most}
    if most == RANKS[Severity.CRITICAL]:
        return []
    if isinstance(findings, list):
        named = [one if isinstance(one, dict) else {} for one in findings]
        return [
            f"{one.get('id')} ({one.get('severity')})"
            for one in named
            if one.get("severity") not in tolerated and one.get("id") not in asked.ignore
        ]
    if not isinstance(counts, dict):
        return None
    worse = {word: number for word, number in counts.items() if word not in tolerated and number != 0}
    if worse and sum(number for number in worse.values() if type(number) is int) <= len(asked.ignore):
        return None
    return [f"{number} {word}" for word, number in worse.items()]
