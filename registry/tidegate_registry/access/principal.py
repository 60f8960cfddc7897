"""The caller of a request, as a checked token describes them. Nothing in a request's body or path adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.formats.identity import CertificateIdentity


class PrincipalKind(StrEnum):
    """What stands behind a token. `CI` is a pipeline run, `HUMAN` a person who logged in."""

    ANONYMOUS = "anonymous"
    HUMAN = "human"
    CI = "ci"


@dataclass(frozen=True, slots=True)
class Grant:
    """One member of a token's access list: what the token may be used for. Source: Docker token spec, `access`.

    `type` is `repository` (with `name` the agent and actions `pull`, `push`, `promote`) or `registry` (with `name`
    `api` and action `*`: whatever the caller may read through /api/v1/, or `manage`: write about the registry itself).
    A grant narrows what charter and policy give; it never adds.
    """

    type: str
    name: str
    actions: frozenset[str]


def describe(grants: Iterable[Grant]) -> str:
    """Write grants as scopes, `type:name:action,action`, separated by spaces."""
    return " ".join(f"{grant.type}:{grant.name}:{','.join(sorted(grant.actions))}" for grant in grants)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `identity` is what Fulcio would write into a certificate for the same token; None for anonymous.

    `subject` is the token's `sub`: what entries call a human by, never what decides. `attributes` are the further
    claims which the issuer's setting asks to carry along (`actor`, `groups` …), each a list of texts: they never name a
    publisher or attester, the charter reads `identity` alone. `grants` is the access list of the registry token that
    was shown. `call`: how the policy in force calls whom it knows, for entries and never for a decision.
    """

    kind: PrincipalKind
    identity: CertificateIdentity | None = None
    subject: str = ""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    call: Callable[[Principal], str | None] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.kind is PrincipalKind.ANONYMOUS) != (self.identity is None):
            raise ValueError("an anonymous principal has no identity, and only that one has none")

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is known to be calling."""
        return self.identity is None

    @property
    def name(self) -> str:
        """Who this is in logs, entries and messages: the subject alternative name a certificate would carry."""
        return "anonymous" if self.identity is None else self.identity.san

    @property
    def issuer(self) -> str:
        """The OIDC issuer that vouches for `name`; empty for anonymous."""
        return "" if self.identity is None else self.identity.issuer

    @property
    def person(self) -> str | None:
        """The name of this human in the policy in force; None for one whom it does not know, and for a pipeline."""
        return None if self.call is None else self.call(self)

    @property
    def told_claims(self) -> str:
        """`attributes` in words, for messages to this caller; entries leave them out. Empty where there are none."""
        return "; ".join(f"{name}: {', '.join(texts)}" for name, texts in self.attributes.items())

    @property
    def key(self) -> str:
        """Tells callers apart where something is counted per caller: the issuer is part of the identity."""
        return "anonymous" if self.identity is None else f"{self.identity.issuer} {self.identity.san}"


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS)
