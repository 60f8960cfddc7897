"""A condition, compiled: what it reads, and whether it holds of a piece of evidence.

Spec page: docs/spec/policy-conditions.md.

Nothing but CEL's own `true` counts. What cannot be told (a member that is not there, a division by zero, too many
steps) is inconclusive and never counts as met.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tidegate.errors import Reason
from tidegate.formats.jcs import JsonObject, JsonValue, is_storable
from tidegate.formats.predicates.types import short_name
from tidegate.policy.cel import diagnosis
from tidegate.policy.cel.environment import Unavailable, check, compile_checked, find_library
from tidegate.policy.cel.evidence import Look, look
from tidegate.policy.cel.pick import Convert, Mismatch, converters
from tidegate.policy.cel.reads import Reads, Unreadable, find_reads
from tidegate.policy.cel.schemas import DYN, RELEASE, FieldType, Message, schema_of
from tidegate.policy.cel.syntax import Call, Constant, Tree, TreeUnreadable, nodes, read_tree
from tidegate.policy.requirements import MAX_EXPRESSION

if TYPE_CHECKING:
    from cel_expr_python.cel import Expression

ITERATION_BUDGET: Final = 10_000
"""Steps of all macros of one evaluation, nested ones multiplied, at which the library gives up: cel-cpp's
`comprehension_max_iterations`. tests/client/policy/cel/test_program.py holds the library to it."""


MAX_KEPT: Final = 1_000
"""Conditions kept compiled, at some 15 KiB each: what-if and replays load the same policies again and again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a condition holds. `holds`: None when that cannot be told, and then `reason` says why.

    `measured`: the values it read, by path; of lists and maps how long they are, as `size(path)`.
    """

    holds: bool | None
    reason: Reason | None = None
    measured: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A condition that was checked for one predicate type. Immutable; may be used by several threads at once.

    `reads`: the paths it looks at, as conditions write them, `[]` for every element. `warnings`: what somebody who
    edits the policy should know, such as that nothing could be checked.
    """

    text: str
    predicate_type: str
    with_baseline: bool
    reads: frozenset[str] = frozenset()
    warnings: tuple[Reason, ...] = ()
    unavailable: Reason | None = None
    _looks: tuple[Look, ...] = ()
    _converters: Mapping[str, Convert] = field(default_factory=dict)
    _names: frozenset[str] = frozenset()
    _compiled: Expression | None = None

    def evaluate(
        self, predicate: JsonObject, baseline: JsonObject | None, release: JsonObject, now: datetime
    ) -> Outcome:
        """Say whether the condition holds of `predicate`, the policy view of an attestation.

        `baseline`: the view of the same kind of evidence about what the target channel serves. `release`: members of
        `schemas.RELEASE`. `now` is aware, else ValueError. What else goes wrong is inconclusive.
        """
        if now.tzinfo is None:
            raise ValueError("now must be aware")
        if self._compiled is None:
            return Outcome(None, self.unavailable)
        values: dict[str, JsonValue] = {"predicate": predicate, "release": release}
        if baseline is not None:
            values["baseline"] = baseline
        elif "baseline" in self._names:
            return Outcome(None, Reason("baseline-missing", "there is nothing to compare with"))
        seen = look(self._looks, values)
        data: dict[str, object] = {}
        for name, convert in self._converters.items():
            try:
                data[name] = convert(values[name])
            except Mismatch as error:
                error.within(name)
                return Outcome(
                    None, Reason("evidence-wrong-type", str(error), error.found, error.expected), seen.measured
                )
        if seen.absent:
            return Outcome(None, _absent(sorted(set(seen.absent))), seen.measured)
        if "now" in self._names:
            data["now"] = now
        return _outcome(self._compiled, data, seen.measured)


def compile_when(text: str, predicate_type: str, *, with_baseline: bool) -> Program:
    """Check and compile a condition over the policy view of `predicate_type` (a URI).

    `with_baseline`: whether the requirement compares with what the target channel serves, which gives the variable
    `baseline`. Without the library the program is inconclusive about everything (code `cel-unavailable`).
    Raises WhenInvalid with every mistake the library sees, and where it is.
    """
    if len(text) > MAX_EXPRESSION:
        raise diagnosis.refuse(
            text,
            MAX_EXPRESSION,
            "the condition is too long",
            code="when-too-long",
            expected=f"at most {MAX_EXPRESSION:,} characters",
            hint="split it into several requirements; all of them must hold anyway",
        )
    if not is_storable(text):
        raise diagnosis.refuse("", 0, "the condition holds characters that no text may hold", code="when-syntax")
    try:
        find_library()
    except Unavailable as error:
        why = _unavailable(error)
        return Program(text, predicate_type, with_baseline, warnings=(why,), unavailable=why)
    return _compile(text, predicate_type, with_baseline)


@lru_cache(MAX_KEPT)
def _compile(text: str, predicate_type: str, with_baseline: bool) -> Program:  # noqa: FBT001 - a key of the cache
    schema = schema_of(predicate_type)
    evidence: FieldType = schema or DYN
    variables: dict[str, FieldType | None] = {"predicate": evidence, "release": RELEASE, "now": None}
    if with_baseline:
        variables["baseline"] = evidence
    try:
        checked = check(text, predicate_type, with_baseline=with_baseline)
        if checked.result not in {"BOOL", "DYN"}:
            raise diagnosis.refuse(
                text,
                0,
                f"the condition gives {checked.result.lower()}",
                code="when-not-boolean",
                expected="true or false",
            )
        tree = read_tree(checked.tree)
        reads = _reads(text, tree, variables)
        _try_literals(text, tree)
        compiled = compile_checked(text)
    except TreeUnreadable as error:
        raise diagnosis.too_deep(text) from error
    except RuntimeError as error:
        messages = [RELEASE] if schema is None else [RELEASE, schema]
        raise diagnosis.explain(text, str(error), sorted(variables), messages) from None
    looks = tuple(sorted((Look.at(read) for read in reads.reads), key=lambda one: one.text))
    return Program(
        text,
        predicate_type,
        with_baseline,
        reads=frozenset(one.text for one in looks),
        warnings=tuple(_warnings(reads, predicate_type, schema)),
        _looks=looks,
        _converters=converters(reads, variables),
        _names=reads.names,
        _compiled=compiled,
    )


def _reads(text: str, tree: Tree, variables: Mapping[str, FieldType | None]) -> Reads:
    try:
        return find_reads(tree.root, variables)
    except Unreadable as error:
        at = tree.positions.get(error.node.id, 0)
        raise diagnosis.refuse(text, at, str(error), code="when-unclear", hint=error.hint) from error


def _try_literals(text: str, tree: Tree) -> None:
    """Refuse patterns, times and durations that are written out and can never be read. Raises WhenInvalid."""
    for node in nodes(tree.root):
        match node:
            case Call(
                function="matches" | "timestamp" | "duration" as function, arguments=(*_, Constant(value=str(it)))
            ):
                literal = "predicate.matches(release)" if function == "matches" else f"{function}(release)"
                found = compile_checked(literal).eval(data={"predicate": "", "release": it})
                if found.type().name() == "ERROR":
                    said = str(found.value()).split(": ", 1)[-1][:160]
                    at = tree.positions.get(node.arguments[-1].id, 0)
                    raise diagnosis.refuse(text, at, f"{function}() cannot read that: {said}", code="when-bad-literal")


def _warnings(reads: Reads, predicate_type: str, schema: Message | None) -> Iterator[Reason]:
    if schema is None:
        yield Reason(
            "when-unchecked",
            f"no members are known of {short_name(predicate_type)}: the condition's spelling and types are not checked",
            hint="all its numbers are double; try the condition on real evidence with `tidegate policy test`",
        )
    if not any(path[0] == "predicate" for path in (*(read.path for read in reads.reads), *reads.tests)):
        yield Reason(
            "when-reads-nothing", "the condition reads nothing of the evidence", hint="read a member of `predicate`"
        )


def _unavailable(error: Unavailable) -> Reason:
    return Reason(
        "cel-unavailable",
        "conditions cannot be checked or evaluated here",
        found=str(error)[:200],
        expected="the library cel-expr-python",
        hint="install tidegate[policy]; it has wheels for Linux (glibc), macOS on ARM and Windows on x86-64",
    )


def _absent(paths: list[str]) -> Reason:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Reason(
        "evidence-missing-member",
        f"the evidence does not say {paths[0]}{more}",
        found=f"no {', '.join(paths)}"[:400],
        expected="every member that the condition reads",
        hint="supply evidence that has it, or guard it: has(MEMBER) && …",
    )


def _outcome(compiled: Expression, data: Mapping[str, object], found: Mapping[str, JsonValue]) -> Outcome:
    try:
        value = compiled.eval(data=data).value()
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # UnicodeError is a ValueError
        if "Iteration budget exceeded" in str(error):
            reason = Reason(
                "when-too-much",
                "the condition takes too many steps over this evidence",
                expected=f"fewer than {ITERATION_BUDGET:,} elements gone over",
            )
        else:
            reason = Reason("when-failed", "the condition cannot be evaluated", found=str(error)[:200])
        return Outcome(None, reason, found)
    if value is True or value is False:
        return Outcome(value, None, found)
    # errors come back as text, which would be truthy
    return Outcome(None, Reason("when-failed", "the condition gives no answer", found=str(value)[:200]), found)
