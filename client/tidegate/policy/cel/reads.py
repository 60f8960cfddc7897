"""Which members of its variables a condition reads, and under which tests of presence.

A read is owed when every `has(…)` (or `"key" in map`) that it depends on holds: the right side of
`has(predicate.judge) && predicate.judge == "x"` is not looked at without a judge, so the member may be absent there.
What is not guarded like that must be in the evidence, or the condition is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidegate.policy.cel.paths import Each, Path, Step, binders, has_members, path_text, type_inside
from tidegate.policy.cel.schemas import DYN, FieldType, ListOf, MapOf, Scalar
from tidegate.policy.cel.syntax import Call, Constant, Fold, Made, Name, Node, Select

# names of CEL's own types, which an expression compares `type(x)` with; google/cel-spec, doc/langdef.md, "Values"
TYPE_NAMES: Final = frozenset(
    {
        *("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"),
        *("google.protobuf.Duration", "google.protobuf.Timestamp"),
    }
)


class Use(Enum):
    """What is looked at: the value itself; its presence, length and keys; what its parts are made of."""

    VALUE = "value"
    SHAPE = "shape"
    PARTS = "parts"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Read:
    """A path that is looked at, and the paths that must be present for it to matter."""

    path: Path
    use: Use
    guards: frozenset[Path]


class Unreadable(ValueError):
    """The condition uses a value in a way that hides which members it reads. `node`: where."""

    def __init__(self, message: str, node: Node, hint: str, found: str | None = None) -> None:
        super().__init__(message)
        self.node = node
        self.hint = hint
        self.found = found


@dataclass(frozen=True, slots=True)
class Reads:
    """Everything that a condition looks at. `tests`: paths whose presence it asks for. `names`: variables it uses."""

    reads: frozenset[Read]
    tests: frozenset[Path]
    names: frozenset[str]


# what an expression's value may be a part of: paths, each with how many lists were made around it
_Aliases = frozenset[tuple[int, Path]]
_Scope = Mapping[str, _Aliases]
_NONE: Final[_Aliases] = frozenset()


def find_reads(root: Node, variables: Mapping[str, FieldType | None]) -> Reads:
    """Find what `root` reads of `variables`, which are given with their types; None: a plain value without members.

    Raises Unreadable where that cannot be told.
    """
    finder = _Finder(variables)
    finder.visit(root, {}, frozenset(), Use.VALUE)
    return Reads(frozenset(finder.reads), frozenset(finder.tests), frozenset(finder.names))


class _Finder:
    def __init__(self, variables: Mapping[str, FieldType | None]) -> None:
        self.variables = variables
        self.reads: set[Read] = set()
        self.tests: set[Path] = set()
        self.names: set[str] = set()

    # -- what a value is a part of ------------------------------------------------------------------------------------

    def aliases(self, node: Node, scope: _Scope) -> _Aliases:
        match node:
            case Name(name=name):
                return self._variable(node, name, scope)
            case Select(test=False):
                return self._further(self.aliases(node.operand, scope), node.field, node)
            case Call(function="_[_]", arguments=(target, index)):
                constant = index.value if isinstance(index, Constant) else None
                step = Each(node.id) if constant is None else constant
                return self._further(self.aliases(target, scope), step, node)
            case Call(function="_?_:_", arguments=(_, then, other)):
                return self.aliases(then, scope) | self.aliases(other, scope)
            case Call(function="_+_", arguments=arguments):
                added = frozenset[tuple[int, Path]]().union(*(self.aliases(each, scope) for each in arguments))
                return frozenset((depth, path) for depth, path in added if depth or self._is_list(path))
            case Call(function="dyn", arguments=(argument,)):
                return self.aliases(argument, scope)
            case Made(values=values):
                inside = frozenset[tuple[int, Path]]().union(*(self.aliases(value, scope) for value in values))
                return frozenset((depth + 1, path) for depth, path in inside)
            case Fold():
                return self.aliases(node.result, self._folded(node, scope))
            case _:
                return _NONE

    def _variable(self, node: Node, name: str, scope: _Scope) -> _Aliases:
        if name in scope:
            return scope[name]
        bare = name.removeprefix(".")  # `.predicate` is never the variable of a macro
        if bare in self.variables:
            return _NONE if self.variables[bare] is None else frozenset({(0, (bare,))})
        if bare in TYPE_NAMES:
            return _NONE
        raise Unreadable(f"{bare} is no variable", node, f"use one of {', '.join(sorted(self.variables))}", bare)

    def _folded(self, node: Fold, scope: _Scope) -> _Scope:
        """Give the scope of the step and the result: the variable is each element, the accumulator all it gathers."""
        elements = self._elements(self.aliases(node.over, scope), node)
        start = self.aliases(node.start, scope)
        inner = {**scope, node.variable: elements, node.accumulator: start}
        return {**inner, node.accumulator: start | self.aliases(node.step, inner)}

    def _further(self, aliases: _Aliases, step: Step, node: Node) -> _Aliases:
        return frozenset((depth - 1, path) if depth else (0, self._longer(path, step, node)) for depth, path in aliases)

    def _longer(self, path: Path, step: Step, node: Node) -> Path:
        longer = (*path, step)
        if type_inside(self.type_of(path), step) is None:
            # the library has checked types; it can only be behind dyn()
            raise Unreadable(f"there is no {path_text(longer)}", node, "read members without dyn()", path_text(longer))
        return longer

    def _elements(self, aliases: _Aliases, node: Fold) -> _Aliases:
        """Give what the variable of a macro is a part of: the elements of a list; the keys of a map are of nothing."""
        lists = frozenset(
            (depth, path) for depth, path in aliases if depth or not isinstance(self.type_of(path), MapOf)
        )
        return self._further(lists, Each(node.id), node)

    def type_of(self, path: Path) -> FieldType:
        kind = self.variables[str(path[0])]
        for step in path[1:]:
            kind = type_inside(kind, step) if kind is not None else None
        if kind is None:
            raise AssertionError(f"no path is made that has no type: {path_text(path)}")
        return kind

    def _is_list(self, path: Path) -> bool:
        return isinstance(self.type_of(path), ListOf)

    # -- what is looked at --------------------------------------------------------------------------------------------

    def visit(self, node: Node, scope: _Scope, guards: frozenset[Path], use: Use) -> None:  # one case a kind of node
        match node:
            case Name(name=name):
                if name not in scope:
                    self.names.add(name.removeprefix("."))
                self._record(node, scope, guards, use)
            case Select(test=True):
                self.visit(node.operand, scope, guards, Use.PARTS)
                self.tests |= {path for depth, path in self._tested(node, scope) if not depth}
            case Select():
                self.visit(node.operand, scope, guards, Use.NOTHING)
                self._record(node, scope, guards, use)
            case Call():
                self._visit_call(node, scope, guards, use)
            case Made():
                self._visit_made(node, scope, guards, use)
            case Fold():
                self._visit_fold(node, scope, guards, use)
            case Constant():
                pass

    def _visit_call(self, node: Call, scope: _Scope, guards: frozenset[Path], use: Use) -> None:
        match node.function, node.arguments:
            case "_&&_" | "_||_" | "_?_:_", _:
                self._visit_branches(node, scope, guards, use)
            case "_[_]", (target, index):
                self.visit(target, scope, guards, Use.NOTHING)
                self.visit(index, scope, guards, Use.VALUE)
                self._record(node, scope, guards, use)
            case "size", (argument,):
                self.visit(argument, scope, guards, Use.SHAPE)
            case "@in", (item, within):
                self.visit(item, scope, guards, Use.VALUE)
                maps = [
                    isinstance(self.type_of(path), MapOf) for depth, path in self.aliases(within, scope) if not depth
                ]
                self.visit(within, scope, guards, Use.SHAPE if maps and all(maps) else Use.VALUE)
                self.tests |= {path for depth, path in self._tested(node, scope) if not depth}
            case "dyn", (argument,):
                self.visit(argument, scope, guards, use)
            case function, arguments:
                lists = function == "_+_" and self.aliases(node, scope)
                for argument in arguments:
                    self.visit(argument, scope, guards, use if lists else Use.VALUE)

    def _visit_branches(self, node: Call, scope: _Scope, guards: frozenset[Path], use: Use) -> None:
        """Visit what is decisive only if something else is true or false. `&&` and `||` look at either side first."""
        if node.function == "_?_:_":
            condition, then, other = node.arguments
            self.visit(condition, scope, guards, Use.VALUE)
            self.visit(then, scope, guards | self.facts(condition, scope, truth=True), use)
            self.visit(other, scope, guards | self.facts(condition, scope, truth=False), use)
            return
        truth = node.function == "_&&_"
        left, right = node.arguments
        self.visit(left, scope, guards | self.facts(right, scope, truth=truth), Use.VALUE)
        self.visit(right, scope, guards | self.facts(left, scope, truth=truth), Use.VALUE)

    def _visit_made(self, node: Made, scope: _Scope, guards: frozenset[Path], use: Use) -> None:
        if node.message:
            raise Unreadable(f"{node.message} cannot be made here", node, "compare members, not whole objects")
        for key in node.keys:
            self.visit(key, scope, guards, Use.VALUE)
        for value in node.values:
            self.visit(value, scope, guards, Use.VALUE if use is Use.VALUE else Use.PARTS)

    def _visit_fold(self, node: Fold, scope: _Scope, guards: frozenset[Path], use: Use) -> None:
        if node.second:  # the library knows them only as an extension; their first variable would be an index
            raise Unreadable("macros with two variables are not part of the language here", node, "use one variable")
        inner = self._folded(node, scope)
        self.visit(node.over, scope, guards, Use.SHAPE)
        self.visit(node.start, scope, guards, Use.PARTS)
        self.visit(node.condition, inner, guards, Use.VALUE)
        self.visit(node.step, inner, guards, use)
        self.visit(node.result, inner, guards, use)

    def _record(self, node: Node, scope: _Scope, guards: frozenset[Path], use: Use) -> None:
        for depth, path in self.aliases(node, scope):
            kind = self.type_of(path)
            real = _real_use(use, path, depth, kind)
            if real is Use.VALUE and has_members(kind):
                raise Unreadable(
                    f"{path_text(path)} is or holds objects with members of their own, and is used as a whole",
                    node,
                    "compare members one by one: what is absent on both sides would be equal",
                    path_text(path),
                )
            if real in {Use.VALUE, Use.SHAPE}:
                # a test of another element than the one that is read says nothing of it
                kept = frozenset(guard for guard in guards if binders(guard) <= binders(path))
                self.reads.add(Read(path, real, kept))

    # -- tests of presence --------------------------------------------------------------------------------------------

    def facts(self, node: Node, scope: _Scope, *, truth: bool) -> frozenset[Path]:
        """Give the paths that must be present if `node` is `truth`."""
        match node:
            case Select(test=True) | Call(function="@in") if truth:
                tested = self._tested(node, scope)
                # of several it may be any; in a list that was made, it may be another than the one that is read
                return frozenset(path for depth, path in tested if not depth and len(tested) == 1)
            case Call(function="!_", arguments=(argument,)):
                return self.facts(argument, scope, truth=not truth)
            case Call(function="_&&_" | "_||_" as function, arguments=(left, right)):
                first, second = self.facts(left, scope, truth=truth), self.facts(right, scope, truth=truth)
                return first | second if (function == "_&&_") is truth else first & second
            case _:
                return frozenset()

    def _tested(self, node: Node, scope: _Scope) -> _Aliases:
        match node:
            case Select(test=True):
                return self._further(self.aliases(node.operand, scope), node.field, node)
            case Call(function="@in", arguments=(Constant(value=str(key)), within)):
                aliases = self.aliases(within, scope)
                if all(depth or isinstance(self.type_of(path), MapOf) for depth, path in aliases):
                    return self._further(aliases, key, node)
        return _NONE


def _real_use(use: Use, path: Path, depth: int, kind: FieldType) -> Use:
    """Say what is looked at of a part whose whole is used as `use`. `depth`: lists that were made around the part."""
    if use is Use.NOTHING or (depth and use is not Use.VALUE):
        return Use.NOTHING
    if use is Use.PARTS:
        if isinstance(kind, Scalar) and kind is not DYN:
            return Use.VALUE
        return Use.SHAPE if len(path) > 1 else Use.NOTHING  # a variable is always there
    if use is Use.SHAPE and not isinstance(kind, ListOf | MapOf) and kind is not DYN:
        return Use.VALUE
    return use
