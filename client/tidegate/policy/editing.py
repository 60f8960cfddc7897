"""Who may change a policy, whether enough others agreed, and whether somebody could still change it afterwards.

Pure. A change is always judged under the policy in force, never under the one it would make: else a document could
grant its own author the right to write it. Spec page: docs/spec/policy.md, "Who may change it".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.errors import Reason
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY, Editors
from tidegate.policy.people import roles_of


@dataclass(frozen=True, slots=True)
class Consent:
    """How a proposal stands. `persons`: who agreed and counts. `missing`: why it is not complete; empty when it is."""

    needed: int
    persons: tuple[str, ...]
    missing: tuple[Reason, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Known:
    """Who could act where a policy is in force: callers by their latest tokens, and whose tokens are taken at all."""

    callers: Sequence[Caller]
    issuers: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Group:
    """Those who may propose, how many others must agree, and whose agreement counts."""

    propose: frozenset[str]
    approve: frozenset[str]
    approvals: int


def editing_roles(policy: LoadedPolicy, name: str) -> frozenset[str]:
    """Name the roles that may propose a change of `name`: `_company`, or the overlay of a namespace."""
    return frozenset(role for group in _groups(policy, name) for role in group.propose)


def log_roles(policy: LoadedPolicy) -> frozenset[str]:
    """Name the roles that may read the audit log: whoever may change the policy, and its `auditors`."""
    return frozenset((*policy.document.auditors, *policy.document.editors.allow))


def may_edit(policy: LoadedPolicy, name: str, caller: Caller) -> bool:
    """Whether `caller` may propose a change of `name` under the policy in force."""
    return not editing_roles(policy, name).isdisjoint(roles_of(caller, policy))


def judge_agreement(policy: LoadedPolicy, name: str, author: Caller, caller: Caller) -> Reason | None:
    """Say why the agreement of `caller` to a proposal of `author` could not count; None: it counts."""
    held = roles_of(author, policy)
    groups = [group for group in _groups(policy, name) if held & group.propose] or _groups(policy, name)
    against = [_why_not(policy, group, author, caller) for group in groups]
    return None if None in against else against[0]


def judge_consent(policy: LoadedPolicy, name: str, author: Caller, approvers: Sequence[Caller]) -> Consent:
    """Say whether a proposal of `author` may become a version: `policy` is the one in force.

    Of those who may propose and how many must agree the policy can name two groups; the one that lacks least counts.
    """
    held = roles_of(author, policy)
    groups = [group for group in _groups(policy, name) if held & group.propose]
    if not groups:
        return Consent(0, (), (not_an_editor(policy, name, author),))
    return min((_consent(policy, group, author, approvers) for group in groups), key=_short_of)


def judge_lockout(policy: LoadedPolicy, known: Known) -> tuple[Reason, ...]:
    """Say why too few could change the policy again if it were in force; empty: enough could.

    Whoever a role names by exact identity counts as well, seen or not; nobody counts whose issuer's tokens are not
    taken. Where others must agree, only those whom `persons` lists can be told apart, and count.
    """
    editors = policy.document.editors
    able = able_editors(policy, known)
    needed = 1 + editors.approvals
    if len(able) >= needed:
        return ()
    return (
        Reason(
            "policy-lockout",
            "too few people could change the policy again",
            f"{len(able)}: {', '.join(able)}" if able else "nobody that is known",
            f"{needed} with {_named(editors.allow)}{', each in `persons`' if editors.approvals else ''}",
            "keep a role in `editors` that people have by their present tokens, or name them by exact identity, "
            "at an issuer whose tokens the registry takes",
        ),
    )


def able_editors(policy: LoadedPolicy, known: Known) -> tuple[str, ...]:
    """Name the distinct persons who could change the company-wide policy under `policy`, sorted."""
    editors, people = policy.document.editors, policy.people
    able = []
    for caller in (*known.callers, *_named_exactly(policy, editors)):
        if caller.issuer in known.issuers and roles_of(caller, policy) & set(editors.allow):
            persons = people.all_of(caller)
            if persons or not editors.approvals:
                able.append(persons or (caller.identity,))
    return tuple(sorted(_apart(able)))


def _groups(policy: LoadedPolicy, name: str) -> tuple[_Group, ...]:
    editors = policy.document.editors
    everywhere = _Group(frozenset(editors.allow), frozenset(editors.allow), editors.approvals)
    own = policy.document.overlay_editors.get(name) if name != COMPANY else None
    if own is None:
        return (everywhere,)
    return everywhere, _Group(frozenset(own.allow), frozenset((*own.allow, *editors.allow)), own.approvals)


def _consent(policy: LoadedPolicy, group: _Group, author: Caller, approvers: Sequence[Caller]) -> Consent:
    agreed, notes = list[tuple[str, ...]](), list[str]()
    if group.approvals and not policy.people.all_of(author):
        return Consent(group.approvals, (), (_unknown(author),))
    for caller in approvers:
        against = _why_not(policy, group, author, caller)
        if against is None:
            agreed.append(policy.people.all_of(caller))
        else:
            notes.append(f"{caller.identity}: {against.message}")
    counted = _apart(agreed)
    if len(counted) >= group.approvals:
        return Consent(group.approvals, counted, ())
    found = [f"{len(counted)} of {group.approvals}", *([", ".join(counted)] if counted else []), *notes]
    missing = Reason(
        "policy-approvals-missing",
        "further persons must agree before this is in force",
        "; ".join(found),
        f"{group.approvals} besides the author, with {_named(group.approve)}",
        "have them run `tidegate policy approve`",
    )
    return Consent(group.approvals, counted, (missing,))


def _apart(known_as: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Name persons of whom no two can be one human. `known_as`: every person that one caller is, for each caller.

    A token can be two persons, by its identity and by a claim: whoever shares one of them may be the same human.
    """
    taken, names = set[str](), list[str]()
    for persons in sorted(known_as, key=len):  # who is one person alone stands for nobody else
        if taken.isdisjoint(persons):
            taken.update(persons)
            names.append(persons[0])
    return tuple(names)


def _why_not(policy: LoadedPolicy, group: _Group, author: Caller, caller: Caller) -> Reason | None:
    """Say why the agreement of `caller` does not count in this group; None: it does."""
    persons = policy.people.all_of(caller)
    same = (caller.issuer, caller.identity) == (author.issuer, author.identity)
    if same or set(persons) & set(policy.people.all_of(author)):
        return Reason(
            "policy-approver-is-author",
            "is the author, by this identity or another one",
            ", ".join(persons) or caller.identity,
            "another person",
        )
    held = roles_of(caller, policy)
    if not held & group.approve:
        return Reason(
            "policy-approver-without-role",
            "has none of the roles whose agreement counts",
            ", ".join(sorted(held)) or "no role",
            _named(group.approve),
        )
    if not persons:
        return Reason(
            "policy-person-unknown",
            "is nobody whom `persons` lists, so cannot be told from the author",
            f"{caller.identity} (issuer {caller.issuer})",
            "an identity that `persons` lists",
        )
    return None


def _named(roles: Iterable[str]) -> str:
    return " or ".join(sorted(roles))


def _short_of(consent: Consent) -> tuple[bool, int]:
    return not consent.complete, consent.needed - len(consent.persons)


def not_an_editor(policy: LoadedPolicy, name: str, author: Caller) -> Reason:
    """Say who may change `name`, to somebody who may not."""
    held = sorted(roles_of(author, policy))
    return Reason(
        "policy-editor-missing",
        f"{author.identity} may not change the policy {name}",
        ", ".join(held) or "no role",
        _named(editing_roles(policy, name)),
        "ask somebody who has such a role; `tidegate policy show` says who",
    )


def _unknown(author: Caller) -> Reason:
    return Reason(
        "policy-person-unknown",
        "the policy in force does not say which person the author is, so nobody can be told to be another one",
        f"{author.identity} (issuer {author.issuer})",
        "an identity that `persons` lists",
        "have somebody whom `persons` lists propose to add it",
    )


def _named_exactly(policy: LoadedPolicy, editors: Editors) -> list[Caller]:
    """Give those whom a role names by their whole identity: they are able before they are ever seen."""
    found = []
    for role in editors.allow:
        for binding in policy.roles.get(role, ()):
            identity = binding.claims.get("identity")
            if isinstance(identity, str) and len(binding.claims) == 1:
                found.append(Caller("named", binding.issuer, identity))
    return found
