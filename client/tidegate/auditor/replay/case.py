"""One decision on its way through the steps that look at it again: what admissions and promotions have in common.

A step looks at one thing and gives the reasons why it is not as it must be; none stops the others. What it needs and is
not there makes the decision not replayable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, TypeVar

from tidegate.auditor.replay.evidence import Bench, Verification
from tidegate.auditor.replay.history import Admitted
from tidegate.auditor.replay.state import Attached
from tidegate.auditor.replay.task import Task
from tidegate.digest import Digest
from tidegate.errors import Reason, TidegateError
from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.inputs import Release
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.record import RecordedPolicy
from tidegate.verify.trust import Trust

LEAST_CONSIDERED: Final = 8  # signatures that a registry looks at in any case, docs/reference/settings.md
DECIDING: Final = frozenset({PREDICATE_RELEASE, PREDICATE_COSIGN_SIGN, PREDICATE_SLSA_PROVENANCE})

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Named:
    """A bundle that a record names, about `subject`."""

    bundle: Digest
    subject: Digest


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record says, of either kind. `named`: every bundle that was looked at. `words`: what was decided.

    `longest`: how long before its entry such a decision may have been made.
    """

    agent: str
    digest: Digest
    engine: str
    actor: Mapping[str, str]
    decided_at: datetime
    longest: timedelta
    charter: Charter | None
    roots: tuple[tuple[str, Digest], ...]
    policy: RecordedPolicy | None
    named: tuple[Named, ...]
    allowed: bool
    words: str


class LackingError(Exception):
    """Something that a step needs is not there, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


class Case(ABC):
    """A decision whose record is read, with its objects and the tools of the process that looks at it."""

    facts: Facts

    def __init__(self, task: Task, bench: Bench) -> None:
        self.task, self.bench = task, bench

    @abstractmethod
    def entry_says(self) -> JsonObject:
        """Give what the entry must say, by member."""

    @abstractmethod
    def evidence_differs(self) -> Iterable[Reason]:
        """Verify every bundle again, and say where that is not what the record says. Raises LackingError."""

    @abstractmethod
    def left_out(self) -> Iterable[Attached]:
        """Give what the log has and the record does not name, as far as it could have counted. Raises LackingError."""

    @abstractmethod
    def state_differs(self) -> Iterable[Reason]:
        """Say what the record says otherwise of agent and channel than the log does."""

    @abstractmethod
    def parts_differ(self) -> Iterable[Reason]:
        """Say what in the record does not follow from its evidence and objects. Raises LackingError."""

    @abstractmethod
    def verdict_differs(self) -> Iterable[Reason]:
        """Decide again, and say what comes out otherwise. Raises LackingError."""

    @abstractmethod
    def allowed_today(self, trust: Trust) -> bool:
        """Decide again under another trust. Raises LackingError."""

    @property
    @abstractmethod
    def engine_is_todays(self) -> bool:
        """Whether it was judged with the engine that this version has."""

    def object(self, digest: Digest) -> bytes:
        """Give an object. Raises LackingError."""
        raw = self.task.objects.get(digest)
        if raw is None:
            absent = self.task.absent.get(digest)
            raise LackingError(absent or Reason("log-object-missing", "the record names what is not there", digest))
        return raw

    @cached_property
    def trust(self) -> Trust:
        """Give the recorded roots and charter. Raises LackingError."""
        roots = {name: self.object(digest) for name, digest in self.facts.roots}
        return made(lambda: self.bench.trust(roots, self.facts.charter))

    @cached_property
    def policy(self) -> LoadedPolicy | None:
        """Give the recorded policy. Raises LackingError."""
        recorded = self.facts.policy
        return None if recorded is None else made(lambda: self.bench.policy(recorded))

    def release(self, admitted: Admitted, *, revoked: str | None = None) -> Release:
        """Give a release as its admission left it. Raises LackingError."""
        record = made(lambda: self.bench.admission(admitted.record, self.object(admitted.record)))
        outcome = record.outcome or {}
        facts, channels = outcome.get("facts"), outcome.get("channels")
        return Release(
            version=admitted.version,
            digest=admitted.digest,
            author=record.caller,
            admitted_at=admitted.at,
            facts=made(lambda: ReleaseFacts.parse(facts if isinstance(facts, dict) else {})),
            channels=tuple(map(str, channels)) if isinstance(channels, list) else (),
            opaque=record.opaque,
            revoked=revoked,
        )

    def verify(self, named: Named) -> Verification:
        """Verify a bundle again as at the time of the decision. Raises LackingError."""
        charter = self.facts.charter
        return NO_CHARTER if charter is None else self.verify_under(named, charter, self.trust)

    def verify_under(self, named: Named, charter: Charter, trust: Trust) -> Verification:
        """Verify a bundle at the time of the decision under some trust. Raises LackingError."""
        return self.bench.verify(
            self.object(named.bundle),
            named.bundle,
            subject=named.subject,
            agent=self.facts.agent,
            charter=charter,
            trust=trust,
            now=self.facts.decided_at,
        )

    def overlooked(self, attached: Sequence[Attached], named: Sequence[Named], subject: Digest) -> Iterable[Attached]:
        """Give what of `attached`, about `subject`, is not `named` though it verifies and would have been considered.

        Of more than LEAST_CONSIDERED, those that come last in the registry's order may be left out.
        """
        known = {each.bundle for each in named}
        verified = [found for each in named if isinstance(found := self.verify(each), VerifiedAttestation)]
        last = max((place_of(each) for each in verified), default=None)
        for each in attached:
            if each.bundle in known:
                continue
            found = self.verify(Named(each.bundle, subject))
            if not isinstance(found, VerifiedAttestation):
                continue
            if len(verified) < LEAST_CONSIDERED or last is None or place_of(found) < last:
                yield each


NO_CHARTER: Final = (Reason("no-charter", "nobody's evidence counts without a charter"),)


def place_of(each: VerifiedAttestation) -> tuple[bool, bool, float]:
    """Give the order in which a registry considers evidence: what decides first, then publishers, the latest first."""
    return each.predicate_type not in DECIDING, not each.is_publisher, -each.signed_at.timestamp()


def made(make: Callable[[], Made]) -> Made:
    """Give what `make` makes of recorded parts. Raises LackingError where this version cannot."""
    try:
        return make()
    except TidegateError as error:
        raise LackingError(error.reasons[0]) from error


def differs(code: str, message: str, *, step: str, found: object = None, expected: object = None) -> Reason:
    """Say that something is not as it is recorded."""
    return Reason(code, message, _text(found), _text(expected), step=step)


def _text(value: object) -> str | None:
    return None if value is None else str(value)[:300]


def same(found: JsonValue, said: JsonValue) -> bool:
    """Whether an entry says what the record says: lists in an entry may be cut short."""
    if isinstance(found, list) and isinstance(said, list):
        return found == said[: len(found)] and bool(found) == bool(said)
    return found == said
