"""Which attestations count for a requirement, and which is the latest. Numbers: docs/spec/decision.md, part Q."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final, cast

from tidegate.formats.charter import IdentityRule, may_attest
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, short_name
from tidegate.policy.inputs import Attested
from tidegate.policy.judge.matter import MAX_SKEW, About, Matter, ago, at_first, is_repeated
from tidegate.policy.requirements import show_duration
from tidegate.policy.verdict import Finding

MAX_TOLD: Final = 5  # statements whose reasons are told


@dataclass(frozen=True, slots=True)
class Wanted:
    """What counts: statements of `predicate_type` by `signer` of the policy; None: by anybody the charter lets.

    `suite`: of evaluations, only those of this suite.
    """

    predicate_type: str
    signer: str | None
    suite: str | None = None

    @property
    def words(self) -> str:
        """The suite and the signer, as they go after a kind of attestation."""
        of = f" of suite {self.suite}" if self.suite else ""
        return f"{of} by signer `{self.signer}`" if self.signer else of


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on an attestation. `check` says in words why it does not count; nothing when it does."""

    number: str
    check: Callable[[Matter, Attested, Wanted], tuple[str, ...]]


def latest(matter: Matter, wanted: Wanted, *, serving: bool = False) -> Attested | None:
    """Give the one that counts: by verified signing time, then by place in the log.

    `serving`: of the evidence about what the channel serves, instead of that about the release.
    """
    asked = (wanted.predicate_type, wanted.signer, wanted.suite, serving)
    if asked not in matter.known_latest:
        matter.known_latest[asked] = next(counting(matter, wanted, serving=serving), None)
    return matter.known_latest[asked]


def counting(matter: Matter, wanted: Wanted, *, serving: bool = False) -> Iterator[Attested]:
    """Give all that count, the latest first; of a statement that was signed several times the first signature."""
    evidence = matter.serving_evidence if serving else matter.attestations
    several = evidence.get(wanted.predicate_type, ())
    found = _counting(matter, wanted, several)
    return iter(at_first(found)) if is_repeated(several) else found


def _counting(matter: Matter, wanted: Wanted, several: Iterable[Attested]) -> Iterator[Attested]:
    for attested in several:
        for condition in CONDITIONS:
            if condition.check(matter, attested, wanted):
                break
        else:
            yield attested


def missing(about: About, matter: Matter, wanted: Wanted) -> Finding:
    """Say that there is none, why those that are there do not count, and who can make one."""
    kind = short_name(wanted.predicate_type)
    by = wanted.words
    return about.unmet(
        f"there is no {kind} attestation{by} for {matter.request.agent}:{matter.inputs.release.version}",
        found="; ".join(islice(_passed_over(matter, wanted), MAX_TOLD)) or "none",
        expected=f"one of type {kind}{by} about {matter.inputs.release.digest[:19]}…",
        hint=f"attach one with `tidegate attest {kind} {matter.request.agent}:{matter.inputs.release.version}`",
        who_can=who_can_sign(matter, wanted),
    )


def _passed_over(matter: Matter, wanted: Wanted) -> Iterator[str]:
    for attested in matter.attestations.get(wanted.predicate_type, ()):
        reasons = [reason for condition in CONDITIONS for reason in condition.check(matter, attested, wanted)]
        if reasons:
            yield f"one by {attested.identity} does not count: {'; '.join(reasons)}"


def too_old(
    about: About, matter: Matter, attested: Attested, max_age: timedelta | None, wanted: Wanted
) -> Finding | None:
    """Say that the latest is older than may be; None when it is not."""
    age = matter.now - attested.signed_at
    if max_age is None or age <= max_age:
        return None
    kind = short_name(wanted.predicate_type)
    return about.unmet(
        f"the latest {kind} attestation is too old",
        found=f"signed {ago(age)}, at {moment_text(attested.signed_at)}",
        expected=f"at most {show_duration(max_age)} ago",
        hint="run it again",
        who_can=who_can_sign(matter, wanted),
        measured=measured_of(attested),
    )


def who_can_sign(matter: Matter, wanted: Wanted) -> tuple[str, ...]:
    """Say who can supply it."""
    if wanted.signer is None:
        return ("whoever the charter lets attest it",)
    rule = matter.policy.signers[wanted.signer]
    return (f"{wanted.signer} ({rule.subject})",)


def suite_of(attested: Attested) -> str | None:
    """Give the suite of an evaluation; None for anything else."""
    suite = (attested.view or {}).get("suite") if attested.predicate_type == PREDICATE_EVALUATION else None
    return suite if isinstance(suite, str) else None


def measured_of(attested: Attested) -> JsonObject:
    """Give what of an attestation goes into the record as measured."""
    return {
        "payload": str(attested.payload_digest),
        "signedAt": moment_text(attested.signed_at),
        "logIndex": attested.log_index,
    }


def _is_the_signer(matter: Matter, attested: Attested, wanted: Wanted) -> tuple[str, ...]:
    """Q1: root, issuer, identity and claims are those of the policy's signer, under the root that it names."""
    if wanted.signer is None:
        return ()
    rule = matter.policy.signers[wanted.signer]
    if attested.root != rule.root:
        return (f"its root is {attested.root}, not {rule.root}",)
    return differences(rule, attested)


def _the_charter_lets_it(matter: Matter, attested: Attested, wanted: Wanted) -> tuple[str, ...]:
    """Q2: a rule of the charter that the verifier matched lets its holder attest such things."""
    charter = matter.inputs.charter
    if charter is not None and any(
        rule.name in attested.signers and rule.root == attested.root and may_attest(role, rule, wanted.predicate_type)
        for role, rule in charter.rules
    ):
        return ()
    return ("the charter does not let it attest that",)


def _is_not_from_the_future(matter: Matter, attested: Attested, _: Wanted) -> tuple[str, ...]:
    """Q3: it was not signed later than now; MAX_SKEW for clocks that differ."""
    if attested.signed_at <= matter.now + MAX_SKEW:
        return ()
    return (f"it was signed at {moment_text(attested.signed_at)}, which is yet to come",)


def _is_of_the_suite(_: Matter, attested: Attested, wanted: Wanted) -> tuple[str, ...]:
    """Q4: it is of the suite that is asked for; which one that is nobody can tell where the view is too large."""
    if wanted.suite is None:
        return ()
    suite = (attested.view or {}).get("suite")
    return () if suite == wanted.suite else (f"its suite is {suite}, not {wanted.suite}",)


CONDITIONS: Final = (
    Condition("Q1", _is_the_signer),
    Condition("Q2", _the_charter_lets_it),
    Condition("Q3", _is_not_from_the_future),
    Condition("Q4", _is_of_the_suite),
)


def differences(rule: IdentityRule, attested: Attested) -> tuple[str, ...]:
    """Say what of a signer a rule does not match."""
    # the claims' names are those of certificates: a StrEnum's members are equal to their texts
    claims = cast("Mapping[ClaimName, str]", attested.claims)
    return rule.differences(CertificateIdentity(attested.issuer, attested.identity, claims))
