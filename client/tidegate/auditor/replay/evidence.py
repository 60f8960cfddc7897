"""Verifying evidence again, once for each bundle that many decisions rest on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused, Reason
from tidegate.formats.charter import Charter
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.record import RecordedPolicy
from tidegate.verify.admission_record import AdmissionRecord, parse_admission_record
from tidegate.verify.attestation import verify_attestation
from tidegate.verify.trust import Root, Trust

MAX_VERIFIED: Final = 20_000  # verified bundles in memory, some 3 KB each
MAX_LOADED: Final = 64  # of policies and of trusts: few are ever in force

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Verification = VerifiedAttestation | tuple[Reason, ...]
"""What a bundle proves, or why it does not count."""


class Kept(Generic[Key, Value]):
    """At most so many values; the one not asked for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Give the value of `key`, made now if it is not kept."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


@dataclass(slots=True)
class Bench:
    """What one process keeps between decisions. `today`: the trust of the auditor, if there is one."""

    today: Trust | None = None
    _verified: Kept[tuple[object, ...], Verification] = field(default_factory=lambda: Kept(MAX_VERIFIED))
    _trusts: Kept[tuple[object, ...], Trust] = field(default_factory=lambda: Kept(MAX_LOADED))
    _policies: Kept[Digest, LoadedPolicy] = field(default_factory=lambda: Kept(MAX_LOADED))
    _admissions: Kept[Digest, AdmissionRecord] = field(default_factory=lambda: Kept(MAX_LOADED))

    def trust(self, roots: Mapping[str, bytes], charter: Charter | None) -> Trust:
        """Put together the trust of a decision. Raises TrustFileInvalid."""
        named = tuple(sorted((name, Digest.of(raw)) for name, raw in roots.items()))
        charters = () if charter is None else (charter,)

        def make() -> Trust:
            # whoever may sign as anybody under a sandbox's root could do so then, too: today's trust tells of that
            return Trust.from_parts((Root(name, raw) for name, raw in roots.items()), charters, allow_sandbox=True)

        return self._trusts.get((named, charter and charter.digest), make)

    def policy(self, recorded: RecordedPolicy) -> LoadedPolicy:
        """Load a policy. Raises PolicyInvalid, StatementInvalid."""
        return self._policies.get(recorded.digest, recorded.load)

    def admission(self, digest: Digest, raw: bytes) -> AdmissionRecord:
        """Read the record of an admission. Raises StatementInvalid, JsonInvalid."""
        return self._admissions.get(digest, lambda: parse_admission_record(raw))

    def texts(self, key: Digest, load: Callable[[], LoadedPolicy]) -> LoadedPolicy:
        """Give the policy of texts that are named by digest, loaded once. Raises PolicyInvalid."""
        return self._policies.get(key, load)

    def verify(
        self,
        bundle: bytes,
        digest: Digest,
        *,
        subject: Digest,
        agent: str,
        charter: Charter,
        trust: Trust,
        now: datetime,
    ) -> Verification:
        """Verify a bundle as it would have been verified at `now`."""

        def make() -> Verification:
            try:
                return verify_attestation(bundle, subject=subject, agent=agent, charter=charter, trust=trust, now=now)
            except EvidenceRefused as refused:
                return refused.reasons

        roots = tuple(root.digest for root in trust.roots)
        found = self._verified.get((digest, subject, agent, charter.digest, roots), make)
        of_its_time = any(each.step == "A19" for each in found) if isinstance(found, tuple) else found.signed_at > now
        return make() if of_its_time else found
