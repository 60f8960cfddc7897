"""Who is the same human as whom. Two identities are one person if the policy or the charter says so.

A certificate names one identity, so all that is known of it belongs to one human. A token of a pipeline also names who
set it off (`actor`), who is another human each time: a token therefore stands for a *set*, and is the same person as
another if the sets meet.
"""

from __future__ import annotations

from tidegate.formats.charter import ApproverRule, Charter
from tidegate.policy.inputs import Approval, Attested, Caller, Inputs
from tidegate.policy.load import LoadedPolicy

Node = tuple[str, ...]
_PERSON, _CHARTER, _IDENTITY = "a person", "charter", "identity"  # so that the policy's name for somebody sorts first


class Humans:
    """The persons of policy and charter, joined. Made for one decision."""

    def __init__(self, policy: LoadedPolicy, inputs: Inputs) -> None:
        self._people = policy.people
        self._charter = inputs.charter
        self._parents: dict[Node, Node] = {}
        for rule in _approvers(inputs.charter):
            if rule.identity is not None:
                self._join((_CHARTER, rule.human), *self._nodes(Caller("", rule.issuer, rule.identity)))
        glass = (inputs.request.glass,) if inputs.request.glass is not None else ()
        for approval in (*inputs.approvals, *glass):
            self._join(*self._nodes_of_signer(approval))

    def signer(self, approval: Approval) -> Node:
        """Give the human who signed."""
        return self._root(self._nodes_of_signer(approval)[0])

    def human(self, name: str) -> Node:
        """Give the human whom the charter calls by that name."""
        return self._root((_CHARTER, name))

    def of(self, caller: Caller | None) -> frozenset[Node]:
        """Give whom a token stands for: who set it off, and the identity itself. Nobody stands for nobody."""
        return frozenset() if caller is None else frozenset(self._root(node) for node in self._nodes(caller))

    def is_known(self, caller: Caller | None) -> bool:
        """Whether a token can be told apart from other humans: the policy says who it is, or an approver of the
        charter who is no pipeline has that identity.
        """
        if caller is None:
            return False
        if self._people.of(caller) is not None:
            return True
        return caller.kind == HUMAN and any(
            (rule.issuer, rule.identity) == (caller.issuer, caller.identity) for rule in _approvers(self._charter)
        )

    def name(self, node: Node) -> str:
        """Say who a human is: as the policy calls them, else as the charter does, else the identity."""
        root = self._root(node)
        return min((each for each in (*self._parents, root) if self._root(each) == root), default=root)[-1]

    def _nodes(self, caller: Caller) -> tuple[Node, ...]:
        persons = tuple((_PERSON, person) for person in self._people.all_of(caller))
        return (*persons, (_IDENTITY, caller.issuer, caller.identity))

    def _nodes_of_signer(self, approval: Approval) -> tuple[Node, ...]:
        named = {rule.human for rule in rules_of(self._charter, approval.attested)}
        return (
            (_CHARTER, approval.person),
            *((_CHARTER, human) for human in sorted(named)),
            *self._nodes(as_caller(approval.attested)),
        )

    def _root(self, node: Node) -> Node:
        while (parent := self._parents.get(node, node)) != node:
            node = parent
        return node

    def _join(self, first: Node, *others: Node) -> None:
        root = self._root(first)
        self._parents.setdefault(first, root)
        for other in others:
            self._parents.setdefault(other, other)
            self._parents[self._root(other)] = root


HUMAN = "human"  # the kind of caller who logged in; the others are pipelines


def as_caller(attested: Attested) -> Caller:
    """Give who signed as somebody whom a person or a role can be bound to."""
    return Caller("certificate", attested.issuer, attested.identity, {k: (v,) for k, v in attested.claims.items()})


def rules_of(charter: Charter | None, attested: Attested) -> tuple[ApproverRule, ...]:
    """Give the charter's approvers and break-glass identities that the verifier matched for a statement."""
    return tuple(rule for rule in _approvers(charter) if rule.name in attested.signers and rule.root == attested.root)


def _approvers(charter: Charter | None) -> tuple[ApproverRule, ...]:
    return () if charter is None else (*charter.approvers, *charter.break_glass)
