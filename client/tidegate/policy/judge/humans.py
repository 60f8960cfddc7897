"""Who is the same human as whom. Two identities are one person if the policy or the charter says so, or both call them
by one name.

A certificate names one identity, so all that is known of it belongs to one human. A token of a pipeline also names who
set it off (`actor`), who is another human each time: a token therefore stands for a *set*, and is the same person as
another if the sets meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.formats.charter import ApproverRule, Charter
from tidegate.policy.inputs import Approval, Attested, Caller
from tidegate.policy.load import LoadedPolicy

Node = tuple[str, ...]
_PERSON, _CHARTER, _IDENTITY = "a person", "charter", "identity"  # so that the policy's name for somebody sorts first


@dataclass(frozen=True, slots=True)
class Token:
    """Whom a caller stands for. `named`: whether the policy says which person that is."""

    caller: Caller
    humans: frozenset[Node]
    named: bool


class Humans:
    """The persons of policy and charter, joined, with who signed `statements`. Made for one decision."""

    def __init__(self, policy: LoadedPolicy, charter: Charter | None, statements: Iterable[Approval] = ()) -> None:
        self._people = policy.people
        self._approvers = _approvers(charter)
        self._parents: dict[Node, Node] = {}
        self._names: dict[Node, Node] = {}
        # by id, which is not given anew while the object is held
        self._signers: dict[int, Node] = {}
        self._tokens: dict[int, Token] = {}
        for rule in self._approvers:
            named = (_CHARTER, rule.human)
            if rule.human in policy.persons:  # a name that both documents have for somebody means one human
                self._join(named, (_PERSON, rule.human))
            if rule.identity is not None:
                self._join(named, (_IDENTITY, rule.issuer, rule.identity))
                if (person := self._people.of_identity(rule.issuer, rule.identity)) is not None:
                    self._join(named, (_PERSON, person))
        for approval in statements:
            named = (_CHARTER, approval.person)
            self._signers[id(approval)] = named
            for rule in rules_of(self._approvers, approval.attested):
                self._join(named, (_CHARTER, rule.human))
            self._join(named, *self._nodes(as_caller(approval.attested)))
        # from here on nothing is joined any more
        self._signers = {approval: self._root(named) for approval, named in self._signers.items()}

    def signer(self, approval: Approval) -> Node:
        """Give the human who signed one of the inputs' statements."""
        return self._signers[id(approval)]

    def human(self, name: str) -> Node:
        """Give the human whom the charter calls by that name."""
        return self._root((_CHARTER, name))

    def of(self, caller: Caller | None) -> frozenset[Node]:
        """Give whom a token stands for: who set it off, and the identity itself. Nobody stands for nobody."""
        return frozenset() if caller is None else self._token(caller).humans

    def is_known(self, caller: Caller | None) -> bool:
        """Whether a token can be told apart from other humans: the policy says who it is, or an approver of the
        charter who is no pipeline has that identity.
        """
        if caller is None:
            return False
        if self._token(caller).named:
            return True
        return caller.kind == HUMAN and any(
            rule.identity == caller.identity and rule.issuer == caller.issuer for rule in self._approvers
        )

    def name(self, node: Node) -> str:
        """Say who a human is: as the policy calls them, else as the charter does, else the identity."""
        if not self._names:
            for each in (*self._parents, *self._parents.values()):
                root = self._root(each)
                self._names[root] = min(self._names.get(root, each), each)
        return self._names.get(node, node)[-1]

    def _token(self, caller: Caller) -> Token:
        known = self._tokens.get(id(caller))
        if known is None:
            nodes = self._nodes(caller)
            found = Token(caller, frozenset(map(self._root, nodes)), named=len(nodes) > 1)
            known = self._tokens[id(caller)] = found
        return known

    def _nodes(self, caller: Caller) -> tuple[Node, ...]:
        persons = [(_PERSON, person) for person in self._people.all_of(caller)]
        return (*persons, (_IDENTITY, caller.issuer, caller.identity))

    def _root(self, node: Node) -> Node:
        parents = self._parents
        while (parent := parents.get(node)) is not None:
            node = parent
        return node

    def _join(self, first: Node, *others: Node) -> None:
        root = self._root(first)
        for other in others:
            top = self._root(other)
            if top != root:
                self._parents[top] = root


HUMAN = "human"  # the kind of caller who logged in; the others are pipelines


def as_caller(attested: Attested) -> Caller:
    """Give who signed as somebody whom a person or a role can be bound to."""
    return Caller("certificate", attested.issuer, attested.identity, {k: (v,) for k, v in attested.claims.items()})


def rules_of(rules: tuple[ApproverRule, ...], attested: Attested) -> tuple[ApproverRule, ...]:
    """Give those of the charter's approvers or break-glass identities that the verifier matched for a statement."""
    return tuple([rule for rule in rules if rule.name in attested.signers and rule.root == attested.root])


def _approvers(charter: Charter | None) -> tuple[ApproverRule, ...]:
    return () if charter is None else (*charter.approvers, *charter.break_glass)
