"""What a model cannot see in one place of a policy: names that point nowhere, edges that go back, rules never reached.

Pure. Every mistake is told, with its line, what was found, what would do, and the name that was probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidegate.errors import PolicyInvalid, Reason
from tidegate.formats.document import mistake_at
from tidegate.formats.yamldoc import PathInside, YamlDocument
from tidegate.policy.agents import shadowed
from tidegate.policy.model import PersonIdentity, PolicyDocument, PublishersOf, Transition
from tidegate.policy.people import People, most_holders
from tidegate.policy.requirements import Requirement

MAX_SHOWN = 12  # names in a message; a person picks from a few


class Mistakes:
    """Collects what is wrong in one file."""

    def __init__(self, source: YamlDocument) -> None:
        self._source = source
        self._found: list[tuple[int, Reason]] = []

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The mistakes, in the order of their lines."""
        return tuple(reason for _, reason in sorted(self._found, key=lambda each: each[0]))

    def add(
        self,
        path: PathInside,
        message: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
        code: str = PolicyInvalid.code,
    ) -> None:
        """Note a mistake at `path`."""
        reason = mistake_at(self._source, path, message, code=code, found=found, expected=expected, hint=hint)
        self._found.append((self._source.line_of(path), reason))

    def known(self, path: PathInside, name: str, names: Collection[str], what: str) -> bool:
        """Check that `name` is one of `names`. `what`: a noun for the message, such as "role"."""
        if name in names:
            return True
        close = difflib.get_close_matches(name, names, n=1)
        self.add(
            path,
            f"no such {what}",
            found=name,
            expected=one_of(names) or f"a {what} that the policy has; it has none",
            hint=f"write {close[0]}" if close else None,
        )
        return False

    def all_known(self, path: PathInside, given: Sequence[str], names: Collection[str], what: str) -> None:
        """Check that each of `given`, a list at `path`, is one of `names`."""
        for index, name in enumerate(given):
            self.known((*path, index), name, names, what)

    def once(self, path: PathInside, names: Sequence[str], key: str | None, what: str) -> None:
        """Check that no name is given twice in the list at `path`. `key`: where in each item it stands."""
        for index, name in enumerate(names):
            if name in names[:index]:
                inside = (*path, index) if key is None else (*path, index, key)
                self.add(inside, f"another {what} has this name already", found=name)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that rules may use."""

    roles: Collection[str]
    signers: Collection[str]
    channels: Collection[str]


def one_of(names: Collection[str]) -> str:
    """Say which names there are, a few of them where there are many."""
    shown = sorted(names)
    more = f", … ({len(shown)} in all)" if len(shown) > MAX_SHOWN else ""
    return f"one of {', '.join(shown[:MAX_SHOWN])}{more}" if shown else ""


def check_document(document: PolicyDocument, source: YamlDocument) -> tuple[Reason, ...]:
    """Give every mistake of a company-wide policy that its model lets pass."""
    mistakes = Mistakes(source)
    names = Vocabulary(document.roles, document.signers, document.channels)
    mistakes.once(("channels",), document.channels, None, "channel")
    _check_persons(document.persons, mistakes)
    check_publishers(document.publishers, names, mistakes)
    mistakes.once(("freezes",), [freeze.name for freeze in document.freezes], "name", "freeze")
    for index, freeze in enumerate(document.freezes):
        mistakes.all_known(("freezes", index, "channels"), freeze.channels, names.channels, "channel")
    for index, transition in enumerate(document.transitions):
        _check_transition(index, document, names, mistakes)
        where: PathInside = ("transitions", index, "require")
        check_requirements(where, transition.require, transition.from_, names, mistakes)
    _check_exceptions(document, names, mistakes)
    _check_glass(document, names, mistakes)
    _check_editors(document, mistakes)
    mistakes.all_known(("auditors",), document.auditors, document.roles, "role")
    return mistakes.reasons


def check_publishers(publishers: Sequence[PublishersOf], names: Vocabulary, mistakes: Mistakes) -> None:
    """Check that each entry names signers that there are."""
    for index, entry in enumerate(publishers):
        mistakes.all_known(("publishers", index, "signers"), entry.signers, names.signers, "signer")


def check_requirements(
    path: PathInside, require: Sequence[Requirement], from_: str | None, names: Vocabulary, mistakes: Mistakes
) -> None:
    """Check the requirements in the list at `path`, of a transition that begins in the channel `from_`."""
    mistakes.once(path, [requirement.id for requirement in require], "id", "requirement of this transition")
    for index, requirement in enumerate(require):
        inside = (*path, index)
        for where, name in _roles_of(requirement):
            mistakes.known((*inside, *where), name, names.roles, "role")
        for where, name in _signers_of(requirement):
            mistakes.known((*inside, *where), name, names.signers, "signer")
        if requirement.upstream is not None:
            upstream = (*inside, "upstream", "channels")
            mistakes.all_known(upstream, requirement.upstream.channels, names.channels, "channel")
        if requirement.soak is not None and from_ is None:
            mistakes.add(
                (*inside, "soak"),
                "this transition has no channel to soak in",
                expected="a transition with `from`",
                hint="use `upstream` to ask for time in another channel",
            )


def roles_named(requirement: Requirement) -> tuple[str, ...]:
    """Give the roles that a requirement names."""
    return tuple(name for _, name in _roles_of(requirement))


def signers_named(requirement: Requirement) -> tuple[str, ...]:
    """Give the signers that a requirement names."""
    return tuple(name for _, name in _signers_of(requirement))


def _roles_of(requirement: Requirement) -> Iterator[tuple[PathInside, str]]:
    if requirement.approvals is not None:
        yield ("approvals", "role"), requirement.approvals.role
    if requirement.review is not None:
        yield ("review", "role"), requirement.review.role


def _signers_of(requirement: Requirement) -> Iterator[tuple[PathInside, str]]:
    if requirement.attestation is not None:
        yield ("attestation", "signer"), requirement.attestation.signer
    if requirement.review is not None:
        yield ("review", "evaluation"), requirement.review.evaluation
    if requirement.sbom is not None and requirement.sbom.signer is not None:
        yield ("sbom", "signer"), requirement.sbom.signer
    if requirement.vulnerabilities is not None:
        yield ("vulnerabilities", "signer"), requirement.vulnerabilities.signer
    if requirement.test_result is not None:
        yield ("testResult", "signer"), requirement.test_result.signer


def _check_persons(persons: Mapping[str, Sequence[PersonIdentity]], mistakes: Mistakes) -> None:
    """One identity is one person's: else the same human could count as two, or two as one."""
    owner: dict[tuple[object, ...], str] = {}
    for person, identities in persons.items():
        for index, identity in enumerate(identities):
            key = (identity.issuer, identity.identity, *sorted(identity.claims.items()))
            if owner.setdefault(key, person) != person:
                path: PathInside = ("persons", person, index)
                mistakes.add(path, f"this is an identity of {owner[key]} already", expected="one person for each")


def _check_transition(index: int, document: PolicyDocument, names: Vocabulary, mistakes: Mistakes) -> None:
    transition = document.transitions[index]
    path: PathInside = ("transitions", index)
    ends = [("to", transition.to), *([("from", transition.from_)] if transition.from_ else [])]
    known = [mistakes.known((*path, key), channel, names.channels, "channel") for key, channel in ends]
    if all(known):
        _check_direction(transition, document.channels, path, mistakes)
    mistakes.all_known((*path, "allow"), transition.allow, names.roles, "role")
    same_edge = [
        (number, other)
        for number, other in enumerate(document.transitions[:index])
        if (other.from_, other.to) == (transition.from_, transition.to)
    ]
    if shadowed(transition.agents, [pattern for _, other in same_edge for pattern in other.agents]):
        before = ", ".join(f"transitions[{number}]" for number, _ in same_edge)
        mistakes.add(
            path,
            f"never counts: {before} comes first and is about the same agents",
            expected="for one edge, the transition of fewer agents before that of more",
            hint="move it up, or remove it",
        )


def _check_direction(transition: Transition, channels: Sequence[str], path: PathInside, mistakes: Mistakes) -> None:
    if transition.from_ is not None and channels.index(transition.from_) >= channels.index(transition.to):
        mistakes.add(
            (*path, "to"),
            "a promotion goes forward in the order of `channels`",
            found=transition.edge,
            expected=" → ".join(channels),
            hint="remove it: going back is a rollback, which needs no transition",
        )


def _check_exceptions(document: PolicyDocument, names: Vocabulary, mistakes: Mistakes) -> None:
    for index, waiver in enumerate(document.exceptions):
        path: PathInside = ("exceptions", index)
        mistakes.all_known((*path, "channels"), waiver.channels, names.channels, "channel")
        ids = {
            requirement.id
            for transition in document.transitions
            if transition.to in waiver.channels
            for requirement in transition.require
        }
        mistakes.known((*path, "requirement"), waiver.requirement, ids, "requirement of these channels")


def _check_glass(document: PolicyDocument, names: Vocabulary, mistakes: Mistakes) -> None:
    glass = document.break_glass
    if glass is not None:
        mistakes.all_known(("breakGlass", "allow"), glass.allow, names.roles, "role")
        mistakes.all_known(("breakGlass", "channels"), glass.channels, names.channels, "channel")
        mistakes.all_known(("breakGlass", "review", "allow"), glass.review.allow, names.roles, "role")


def _check_editors(document: PolicyDocument, mistakes: Mistakes) -> None:
    """Whoever may change the policy must exist: a policy that nobody can change is never mended."""
    mistakes.all_known(("editors", "allow"), document.editors.allow, document.roles, "role")
    bindings = [binding for role in document.editors.allow for binding in document.roles.get(role, ())]
    able, needed = most_holders(bindings, People(document.persons)), 1 + document.editors.approvals
    if able is not None and able < needed:
        mistakes.add(
            ("editors", "allow"),
            "too few people have these roles, so nobody could change the policy again",
            found=f"{able} in {', '.join(document.editors.allow)}",
            expected=f"{needed}: who proposes, and {document.editors.approvals} who agree" if needed > 1 else "one",
            hint="bind a role to more people, or to a group",
        )
    for namespace, editors in document.overlay_editors.items():
        mistakes.all_known(("overlayEditors", namespace, "allow"), editors.allow, document.roles, "role")
