"""What rooms may use, in one frozen value made by the composition root (app.py); nothing is global.

The protocols are the seams to the rooms that judge: `Access` (who is calling, what may they do; the access room's
Gatekeeper), `Gate` (is this evidence, may this be named; the evidence and admission rooms) and `PolicySource` (what the
policies say; the policies room). Tests fake them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from secrets import token_bytes
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from tidegate.digest import Digest
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.turns import Turns
from tidegate_registry.artifacts.reads import ReadCache
from tidegate_registry.audit.limiter import RefusalLimiter
from tidegate_registry.audit.static import LogFileCache
from tidegate_registry.db import Db, Tx
from tidegate_registry.policies.source import StoredPolicies
from tidegate_registry.recent import Recent
from tidegate_registry.retention import Roots
from tidegate_registry.settings import READ_CACHE_BYTES, Settings
from tidegate_registry.storage.blobs import BlobStore
from tidegate_registry.storage.hashing import HashStates
from tidegate_registry.storage.staging import Staging
from tidegate_registry.trust_source import TrustSource

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate.errors import BundleRefused
    from tidegate.formats.config import AgentConfig
    from tidegate.formats.manifest import Manifest
    from tidegate.policy.evidence import VerifiedAttestation
    from tidegate.policy.inputs import Difference
    from tidegate.policy.load import LoadedPolicy
    from tidegate_registry.artifacts.naming import Named
    from tidegate_registry.artifacts.pending import PendingTag
    from tidegate_registry.policies.source import PolicySet

WHAT_IFS = 2  # texts of policies that are tried out at once: each reads up to 256 MiB of records
STORE_REQUESTS = 32  # questions to the store at once that direct uploads ask beside the requests' own threads
Clock = Callable[[], datetime]
EvidenceKey = tuple[str, Digest, Digest, Digest, tuple[tuple[str, Digest], ...]]
"""Agent, subject, bundle, charter, roots by name: all that the outcome of a verification depends on."""


class Access(Protocol):
    """Who is calling, and what they may do. What asks for the charters in force may have to read them from disk."""

    def authenticate(self, authorization: str | None) -> Principal:
        """Give the caller of an Authorization header; None is anonymous. From memory. Raises LoginNeeded."""

    def recall(self, authorization: bytes, permission: Permission, agent: str) -> Principal | None:
        """Give the caller of a header that was taken before, if they may; None: ask `authenticate` and `demand`."""

    def may(self, principal: Principal, permission: Permission, agent: str | None = None) -> bool:
        """Whether the caller may; for what is hidden rather than refused."""

    def demand(self, principal: Principal, permission: Permission, agent: str | None = None) -> None:
        """Raise LoginNeeded or AccessDenied unless the caller may."""

    def demand_known(self, principal: Principal, permission: Permission) -> None:
        """Raise LoginNeeded unless somebody is calling, for a request whose body names the agent; then `demand`."""


class PendingEvidence(Protocol):
    """A referrer that was verified, not yet written."""

    def record(self, tx: Tx, *, now: datetime) -> None:
        """Write its row and its entry in the transaction that stores the referrer."""


class Gate(Protocol):
    """What decides. Both calls are slow (they read the store and verify signatures): never inside a transaction."""

    def verify_referrer(self, app: Services, who: Principal, *, repository: str, manifest: Manifest) -> PendingEvidence:
        """Verify the Sigstore bundle that `manifest` (a referrer) attaches. Raises EvidenceRefused or AccessDenied.

        A caller who is an attester only must have signed the bundle with their own identity.
        """

    def admit(
        self,
        app: Services,
        who: Principal,
        *,
        repository: str,
        version: str,
        manifest: Manifest,
        bundle: AgentConfig | BundleRefused | None,
        strict: bool,
    ) -> Named | PendingTag:
        """Decide whether `manifest` becomes `version`, and in one transaction record it (`naming.record_release`).

        Where the charter defers admission and only evidence is missing, the tag waits for it, unless `strict`.

        `bundle`: what checking the content gave, its config or every reason against it; None where there is nothing to
        check, as in an opaque bundle. Raises AdmissionRefused with every unmet requirement, or VersionTaken.
        """

    def complete(self, app: Services, who: Principal, *, repository: str, subject: Digest) -> None:
        """Decide again about what waits for evidence about `subject`, which `who` has just brought: version tags and
        promotions. A decision against one leaves it waiting and raises nothing.
        """


class PolicySource(Protocol):
    """The policies in force. The same transaction that decides asks, so that what was read is what was judged."""

    def current(self, tx: Tx, *, hold: bool = False) -> PolicySet:
        """Give what is in force as `tx` sees it; with `hold`, until `tx` ends. From memory while nothing changed."""

    def for_agent(self, tx: Tx, agent: str, *, hold: bool = False) -> LoadedPolicy | None:
        """Give the policy for an agent; None: no policy is installed. Raises PolicyUnusable."""


def utc_now() -> datetime:
    """The clock of a running registry."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """Everything a use case may touch besides its arguments."""

    settings: Settings
    db: Db
    blobs: BlobStore
    staging: Staging
    access: Access
    gate: Gate
    trust: TrustSource | None = None  # None in tests of rooms that trust nobody
    clock: Clock = utc_now
    entropy: Callable[[int], bytes] = token_bytes
    roots: Roots = field(default_factory=Roots)
    policies: PolicySource = field(default_factory=StoredPolicies)
    turns: Turns = field(default_factory=Turns)
    store_crew: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(STORE_REQUESTS, "store"))
    what_ifs: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(WHAT_IFS))
    hash_states: HashStates = field(default_factory=HashStates)
    reads: ReadCache = field(default_factory=lambda: ReadCache(most_bytes=READ_CACHE_BYTES))
    log_files: LogFileCache = field(default_factory=LogFileCache)
    checked_bundles: Recent[tuple[str, Digest], AgentConfig] = field(default_factory=Recent)
    verified_evidence: Recent[EvidenceKey, VerifiedAttestation] = field(default_factory=Recent)
    differences: Recent[tuple[str, Digest, Digest], Difference] = field(default_factory=Recent)

    @cached_property
    def refusals(self) -> RefusalLimiter:
        """Which refusals get an entry of their own."""
        limits = self.settings.limits
        return RefusalLimiter(per_caller=limits.refusals_per_minute, anonymous=limits.anonymous_refusals_per_minute)


async def services(request: Request) -> Services:
    """Give the services of this application."""
    found: Services = request.app.state.services
    return found


App = Annotated[Services, Depends(services)]


async def caller(request: Request, app: App) -> Principal:
    """Authenticate the request once. Raises LoginNeeded for a credential that does not count."""
    principal = app.access.authenticate(request.headers.get("authorization"))
    request.state.principal = principal  # for the request log and the entry of a refusal
    return principal


Caller = Annotated[Principal, Depends(caller)]
