"""Counting persons: whose statements count, and in words why those of others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.policy.inputs import Approval
from tidegate.policy.judge.humans import Node
from tidegate.policy.judge.matter import Matter, either
from tidegate.policy.judge.statements import objections, to_tell

MAX_TOLD = 10  # statements whose reasons are told; the rest is in the record

Further = Callable[[Approval], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Tally:
    """`persons`: the humans whose statements count, in the order in which they signed, each with the first of them.

    `passed_over`: why others do not count, each a sentence that begins with a name; `told`: those that people who wait
    for this request want to know.
    """

    persons: dict[Node, Approval]
    names: tuple[str, ...]
    passed_over: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def found(self) -> str:
        """Who counts and who does not, in words."""
        counted = either(self.names, "and") if self.names else "nobody"
        return "; ".join((counted, *self.told[:MAX_TOLD]))

    @property
    def measured(self) -> JsonObject:
        """What goes into the record: the statements that were counted, and for whom."""
        return {
            "counted": [
                f"{name}: {approval.attested.payload_digest}, signed {moment_text(approval.attested.signed_at)}"
                for name, approval in zip(self.names, self.persons.values(), strict=True)
            ],
            "passedOver": list(self.passed_over),
        }


def tally(matter: Matter, predicate_type: str, further: Further) -> Tally:
    """Count the persons behind the statements of one type. `further`: what else is to be held against a statement."""
    persons: dict[Node, Approval] = {}
    passed_over, told = [], []
    for approval in matter.approvals:
        if approval.attested.predicate_type != predicate_type:
            continue
        signer = matter.humans.signer(approval)
        reasons = [*objections(matter, approval), *further(approval)]
        if reasons:
            why = f"{matter.humans.name(signer)} does not count: "
            passed_over.append(why + "; ".join(reasons))
            if telling := to_tell(matter, approval, reasons):
                told.append(why + "; ".join(telling))
        else:
            persons.setdefault(signer, approval)
    return Tally(persons, tuple(matter.humans.name(signer) for signer in persons), tuple(passed_over), tuple(told))
