"""Who plays in cases: from names to the tokens that such people would have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidegate.policy.cases.model import CasePerson
from tidegate.policy.crosscheck import Mistakes, one_of
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import Glob, PersonIdentity, RoleBinding
from tidegate.policy.people import IDENTITY, roles_of

A_REQUESTER, AN_AUTHOR = "requester", "author"  # who play where a case names nobody
_HUMAN = "human"  # as somebody who logged in
_SOMETHING = "x"  # what stands for `*` of a glob


class Cast:
    """The people of one file of cases."""

    def __init__(self, policy: LoadedPolicy, people: Mapping[str, CasePerson]) -> None:
        self._policy = policy
        self._people = people

    @property
    def names(self) -> frozenset[str]:
        """Everybody whom a case may name."""
        return frozenset({*self._people, *self._policy.persons})

    def caller(self, name: str) -> Caller:
        """Give somebody's token: their identity as `persons` has it, and what their roles are bound to."""
        return self._caller(name, self._people.get(name, CasePerson()))

    def somebody(self, name: str, roles: Iterable[str]) -> Caller:
        """Give somebody whom nothing else names, with roles."""
        return self._caller(name, CasePerson(roles=tuple(roles)))

    def check(self, mistakes: Mistakes) -> None:
        """Check that each can have the roles that the file gives them."""
        for name, entry in self._people.items():
            mistakes.all_known(("people", name, "roles"), entry.roles, self._policy.roles, "role")
            has = roles_of(self.caller(name), self._policy)
            for index, role in enumerate(entry.roles):
                if role in self._policy.roles and role not in has:
                    mistakes.add(
                        ("people", name, "roles", index),
                        "nobody with this identity can have the role",
                        found=self.caller(name).issuer,
                        expected=one_of({binding.issuer for binding in self._policy.roles[role]}),
                        hint="give the `identity` and `issuer` that the role is bound to",
                    )

    def _caller(self, name: str, entry: CasePerson) -> Caller:
        identities = self._policy.persons.get(name, ())
        bindings = [binding for role in entry.roles for binding in self._policy.roles.get(role, ())[:1]]
        issuer = entry.issuer or _first_issuer(identities, bindings)
        known = [one for one in identities if one.issuer == issuer]
        own = next(
            (one for one in bindings if one.issuer == issuer and isinstance(one.claims.get(IDENTITY), str)), None
        )
        bound = own.claims[IDENTITY] if own is not None else None
        identity = (
            entry.identity
            or next((one.identity for one in known if one.identity), None)
            or (bound if isinstance(bound, str) else None)
            or f"{name}@people.example"
        )
        caller = Caller(_HUMAN, issuer, identity)
        for one in known:
            caller = _with(caller, {claim: (value,) for claim, value in one.claims.items()})
        for binding in bindings:
            if binding.issuer == issuer:
                caller = _with(caller, _values(binding))
        return _with(caller, entry.claims)


def _first_issuer(identities: Iterable[PersonIdentity], bindings: Iterable[RoleBinding]) -> str:
    """Give the issuer where somebody can have their roles, else where they are known at all."""
    known = [one.issuer for one in identities]
    wanted = [binding.issuer for binding in bindings]
    both = [issuer for issuer in wanted if issuer in known]
    return next(iter([*both, *known, *wanted]), "https://people.example")


def _values(binding: RoleBinding) -> dict[str, tuple[str, ...]]:
    return {
        claim: (wanted.glob.replace("*", _SOMETHING) if isinstance(wanted, Glob) else wanted,)
        for claim, wanted in binding.claims.items()
        if claim != IDENTITY
    }


def _with(caller: Caller, claims: Mapping[str, tuple[str, ...]]) -> Caller:
    merged = {claim: (*caller.claims.get(claim, ()), *values) for claim, values in claims.items()}
    return replace(caller, claims={**caller.claims, **merged})
