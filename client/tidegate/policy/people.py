"""Who somebody is, and which roles that gives: tokens and certificates against a policy's bindings.

Pure. Issuer and claims are compared exactly, but where the policy writes `{glob: …}`; no claim of another issuer ever
counts. Spec page: docs/spec/policy.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tidegate.policy.inputs import Caller
from tidegate.policy.model import Glob, PersonIdentity, RoleBinding

if TYPE_CHECKING:
    from tidegate.policy.load import LoadedPolicy

IDENTITY = "identity"  # the claim name by which bindings mean the certificate's subject


def roles_of(caller: Caller, policy: LoadedPolicy) -> frozenset[str]:
    """Give the names of all roles that `caller` has under `policy`."""
    return frozenset(
        name for name, bindings in policy.roles.items() if any(binds(binding, caller) for binding in bindings)
    )


def has_role(caller: Caller, role: str, policy: LoadedPolicy) -> bool:
    """Whether `caller` has one role; nobody has a role that the policy does not know."""
    return any(binds(binding, caller) for binding in policy.roles.get(role, ()))


def binds(binding: RoleBinding, caller: Caller) -> bool:
    """Whether a token of the binding's issuer has, for every claim that it names, a value that matches."""
    return binding.issuer == caller.issuer and all(
        any(_matches(wanted, value) for value in caller.values(claim)) for claim, wanted in binding.claims.items()
    )


def holders(role: str, policy: LoadedPolicy) -> tuple[str, ...]:
    """Say who has a role, in words: persons by name where the policy names them, else what a token must say."""
    named: dict[str, None] = {}
    described: dict[str, None] = {}
    for binding in policy.roles.get(role, ()):
        person = policy.people.of(_bound(binding)) if _is_exact(binding) else None
        (described if person is None else named)[person or _in_words(binding)] = None
    return (*named, *described)


def most_holders(bindings: Iterable[RoleBinding], people: People) -> int | None:
    """Count the persons whom bindings can ever mean; None where only tokens tell, as with groups."""
    listed = tuple(bindings)
    if not all(_is_exact(binding) for binding in listed):
        return None
    return len({people.of(found) or (found.issuer, found.identity) for found in map(_bound, listed)})


class People:
    """Finds the human behind an identity. Several identities are one person when the policy says so."""

    def __init__(self, persons: Mapping[str, Iterable[PersonIdentity]]) -> None:
        self._by_identity: dict[tuple[str, str], str] = {}
        self._by_claim: dict[tuple[str, str, str], list[tuple[str, PersonIdentity]]] = {}
        claims: set[str] = set()
        for person, identities in persons.items():
            for one in identities:
                if one.identity is not None:
                    self._by_identity[one.issuer, one.identity] = person
                else:
                    claim = min(one.claims)  # one of them finds the entry, all of them must match
                    claims.add(claim)
                    self._by_claim.setdefault((one.issuer, claim, one.claims[claim]), []).append((person, one))
        self._claims = tuple(sorted(claims))

    def of(self, caller: Caller) -> str | None:
        """Name the person whose identity this is; None for somebody the policy does not know."""
        return next(iter(self.all_of(caller)), None)

    def all_of(self, caller: Caller) -> tuple[str, ...]:
        """Name every person whose identity this is, the one by exact identity first.

        There can be two: one by the certificate's subject, another by a claim such as `actor`. Whoever must *not* be
        somebody (the author, the requester) must be none of them.
        """
        found: dict[str, None] = {}
        if exact := self.of_identity(caller.issuer, caller.identity):
            found[exact] = None
        for claim in self._claims:
            for value in caller.values(claim):
                for person, one in self._by_claim.get((caller.issuer, claim, value), ()):
                    if all(text in caller.values(name) for name, text in one.claims.items()):
                        found[person] = None
        return tuple(found)

    def of_identity(self, issuer: str, identity: str) -> str | None:
        """Name the person with this certificate subject, exactly."""
        return self._by_identity.get((issuer, identity))


def _matches(wanted: str | Glob, value: str) -> bool:
    return wanted == value if isinstance(wanted, str) else matches_glob(wanted.glob, value)


def matches_glob(pattern: str, value: str) -> bool:
    """Whether `value` as a whole is `pattern`, where each `*` stands for any characters, and nothing else is special.

    Takes the first place for each part, so it needs no backtracking: a long claim costs no time to speak of.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return value == pattern
    *middle, last = rest
    end = len(value) - len(last)
    if end < len(first) or not (value.startswith(first) and value.endswith(last)):
        return False
    at = len(first)
    for part in middle:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _is_exact(binding: RoleBinding) -> bool:
    return isinstance(binding.claims.get(IDENTITY), str)


def _bound(binding: RoleBinding) -> Caller:
    """Give whom an exact binding means."""
    claims = {name: (text,) for name, text in binding.claims.items() if isinstance(text, str)}
    return Caller("", binding.issuer, claims.pop(IDENTITY)[0], claims)


def _in_words(binding: RoleBinding) -> str:
    claims = [
        f"{name} {wanted if isinstance(wanted, str) else wanted.glob}"
        for name, wanted in sorted(binding.claims.items())
    ]
    return f"{' and '.join(claims)} at {binding.issuer}"
