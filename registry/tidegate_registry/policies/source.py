"""The policies in force, from memory: read again when a version was applied, parsed and compiled once for each text."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import col, func, select, tuple_

from tidegate.digest import Digest
from tidegate.errors import Conflict, PolicyInvalid
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.model import COMPANY
from tidegate_registry.access.callers import parse_caller
from tidegate_registry.db import Tx
from tidegate_registry.policies.tables import THE_HEAD, PolicyHeadRow, PolicyVersionRow

Stamp = tuple[int, str]  # revision, entry of the last change
Texts = tuple[str, str]  # digests of the company-wide document and of the overlay, if any


class PolicyUnusable(Conflict):
    """The policy in force cannot be read by this version of the registry: nothing is decided by it."""

    code = "policy-unusable"


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of one policy. `text`: the bytes of its author; `digest` is theirs."""

    name: str
    number: int
    text: bytes = field(repr=False)
    digest: Digest
    author: Caller
    reason: str
    proposal: str | None
    reverts: int | None
    event_id: str
    applied_at: datetime

    @property
    def tag(self) -> str:
        """The strong entity tag that names this version, of this text."""
        return f'"{self.number}.{self.digest.hex[:32]}"'

    @property
    def title(self) -> str:
        """How messages call its text, in the place where a file's name would be."""
        return f"{self.name}@{self.number}"


class PolicySet:
    """What is in force: the last version of each name. Shared between threads; never changes."""

    def __init__(self, versions: Mapping[str, PolicyVersion], loaded: Mapping[Texts, LoadedPolicy]) -> None:
        self.versions = versions
        self._loaded = dict(loaded)
        self._lock = threading.Lock()

    @property
    def company(self) -> PolicyVersion | None:
        """The company-wide document; None before an operator installed one."""
        return self.versions.get(COMPANY)

    def for_agent(self, agent: str) -> LoadedPolicy | None:
        """Give the policy for `namespace/agent`, or for a namespace: company-wide document and the overlay, if any.

        None where no policy is installed. Raises PolicyUnusable.
        """
        company, overlay = self.company, self.versions.get(agent.partition("/")[0])
        if company is None:
            return None
        key = (str(company.digest), "" if overlay is None or overlay is company else str(overlay.digest))
        with self._lock:
            found = self._loaded.get(key)
            if found is None:
                found = self._loaded[key] = _load(company, overlay if key[1] else None)
        return found

    def carried(self, versions: Mapping[str, PolicyVersion]) -> PolicySet:
        """Give the set of these versions; what is loaded and still in force is kept."""
        company = versions.get(COMPANY)
        with self._lock:
            kept = {key: value for key, value in self._loaded.items() if company and key[0] == company.digest}
        overlays = {"", *(str(version.digest) for version in versions.values())}
        return PolicySet(versions, {key: value for key, value in kept.items() if key[1] in overlays})


class StoredPolicies:
    """The policies of the database. A transaction that asks gets what is in force for it: the check is one row."""

    def __init__(self) -> None:
        self._known: tuple[Stamp | None, PolicySet] = (None, PolicySet({}, {}))

    @property
    def known(self) -> PolicySet:
        """What was in force when somebody last asked: never for a decision."""
        return self._known[1]

    def current(self, tx: Tx, *, hold: bool = False) -> PolicySet:
        """Give what is in force as `tx` sees it.

        `hold`: nothing else comes in force until `tx` ends; what writes a decision asks so, first of its locks but the
        agent's. On SQLite a transaction that writes is alone anyway.
        """
        query = select(PolicyHeadRow.revision, PolicyHeadRow.event_id).where(PolicyHeadRow.id == THE_HEAD)
        found = tx.exec(query.with_for_update(read=True) if hold else query).first()
        stamp = None if found is None else (found[0], found[1])
        known_stamp, known = self._known
        if stamp != known_stamp:
            known = known.carried(read_versions(tx))
            self._known = (stamp, known)  # one assignment: a reader sees both or neither
        return known

    def for_agent(self, tx: Tx, agent: str, *, hold: bool = False) -> LoadedPolicy | None:
        """Give the policy for an agent, see `PolicySet.for_agent`."""
        return self.current(tx, hold=hold).for_agent(agent)


def read_versions(tx: Tx) -> dict[str, PolicyVersion]:
    """Read the last version of each name."""
    last = select(PolicyVersionRow.name, func.max(PolicyVersionRow.number)).group_by(PolicyVersionRow.name)
    query = select(PolicyVersionRow).where(tuple_(col(PolicyVersionRow.name), col(PolicyVersionRow.number)).in_(last))
    return {row.name: version_of(row) for row in tx.exec(query)}


def version_of(row: PolicyVersionRow) -> PolicyVersion:
    """Give the value of a row."""
    return PolicyVersion(
        name=row.name,
        number=row.number,
        text=row.text,
        digest=Digest.parse(row.digest),
        author=parse_caller(row.author),
        reason=row.reason,
        proposal=row.proposal,
        reverts=row.reverts,
        event_id=row.event_id,
        applied_at=row.applied_at,
    )


def _load(company: PolicyVersion, overlay: PolicyVersion | None) -> LoadedPolicy:
    name = company.title
    try:
        if overlay is None:
            return load_policy(company.text, name=name)
        return load_policy(company.text, overlay.text, name=name, overlay_name=overlay.title)
    except PolicyInvalid as error:
        raise PolicyUnusable(
            "the policy in force cannot be read by this version of the registry",
            found=error.message,
            hint="run the version that accepted it, or have the operator install another: `tidegate-registry policy`",
        ) from error
