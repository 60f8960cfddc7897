"""The syntax tree of a condition, read from what the library serialises: CEL's own format for checked expressions.

Source: google/cel-spec, proto/cel/expr/{syntax,checked}.proto. Only the parts that an analysis of reads needs are
declared here; a protobuf reader skips the others. Macros are expanded: `all`, `exists`, `exists_one`, `map`, `filter`
are all a `Fold`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal. `value`: None for those that name no member: null, bool, uint, double, bytes."""

    id: int
    value: str | int | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or a type. With a leading dot, never one that a macro declares."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or `has(operand.field)` when `test`."""

    id: int
    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function; the target of a method is the first of `arguments`."""

    id: int
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A list, map or message that the condition makes. `message`: its type's name, empty for lists and maps."""

    id: int
    keys: tuple[Node, ...]
    values: tuple[Node, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Fold:
    """A macro over a list or a map's keys: `accumulator` starts as `start` and becomes `step` for each `variable`."""

    id: int
    variable: str
    second: str  # the second variable of two-variable macros, which are not part of the language here
    over: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node = Constant | Name | Select | Call | Made | Fold

# message: its fields as (name, number, type); a type in capitals is a message, `*` marks a repeated one
_FORMAT: Final[Mapping[str, tuple[tuple[str, int, str], ...]]] = {
    "Constant": (("int64_value", 3, "int64"), ("string_value", 6, "string")),
    "Expr": (
        ("id", 2, "int64"),
        ("const_expr", 3, "Constant"),
        ("ident_expr", 4, "Ident"),
        ("select_expr", 5, "Select"),
        ("call_expr", 6, "Call"),
        ("list_expr", 7, "CreateList"),
        ("struct_expr", 8, "CreateStruct"),
        ("comprehension_expr", 9, "Comprehension"),
    ),
    "Ident": (("name", 1, "string"),),
    "Select": (("operand", 1, "Expr"), ("field", 2, "string"), ("test_only", 3, "bool")),
    "Call": (("target", 1, "Expr"), ("function", 2, "string"), ("args", 3, "*Expr")),
    "CreateList": (("elements", 1, "*Expr"),),
    "CreateStruct": (("message_name", 1, "string"), ("entries", 2, "*Entry")),
    "Entry": (("map_key", 3, "Expr"), ("value", 4, "Expr")),
    "Comprehension": (
        ("iter_var", 1, "string"),
        ("iter_range", 2, "Expr"),
        ("accu_var", 3, "string"),
        ("accu_init", 4, "Expr"),
        ("loop_condition", 5, "Expr"),
        ("loop_step", 6, "Expr"),
        ("result", 7, "Expr"),
        ("iter_var2", 8, "string"),
    ),
    "Position": (("key", 1, "int64"), ("value", 2, "int32")),
    "SourceInfo": (("positions", 4, "*Position"),),
    "CheckedExpr": (("expr", 4, "Expr"), ("source_info", 5, "SourceInfo")),
}


_TYPE_URL: Final = "type.googleapis.com/cel.expr.CheckedExpr"


@dataclass(frozen=True, slots=True)
class Tree:
    """A checked condition. `positions`: where each node is, in characters from 0, by the node's id."""

    root: Node
    positions: Mapping[int, int]


class TreeUnreadable(ValueError):
    """The expression is nested too deep for protobuf readers, or the library serialises something else now."""


def read_tree(serialised: bytes) -> Tree:
    """Read what `Expression.serialize` gives. Raises TreeUnreadable."""
    from google.protobuf.any_pb2 import Any as Envelope
    from google.protobuf.message import DecodeError

    envelope = Envelope.FromString(serialised)
    if envelope.type_url != _TYPE_URL:
        raise TreeUnreadable(f"the library serialises {envelope.type_url}")
    checked = _checked_expression()()
    try:
        checked.ParseFromString(envelope.value)
    except DecodeError as error:  # what the library wrote is well-formed, so it can only be this
        raise TreeUnreadable("it is nested too deep") from error
    return Tree(_node(checked.expr), {entry.key: entry.value for entry in checked.source_info.positions})


def nodes(root: Node) -> Iterator[Node]:
    """Give `root` and every node below it."""
    yield root
    match root:
        case Select(operand=operand):
            yield from nodes(operand)
        case Call(arguments=inside):
            for node in inside:
                yield from nodes(node)
        case Made(keys=keys, values=values):
            for node in (*keys, *values):
                yield from nodes(node)
        case Fold(over=over, step=step, result=result):
            for node in (over, step, result):
                yield from nodes(node)


def _node(expr: Any) -> Node:
    kinds = [name for name, _, _ in _FORMAT["Expr"][1:] if expr.HasField(name)]
    match kinds:
        case ["ident_expr"]:
            return Name(expr.id, expr.ident_expr.name)
        case ["select_expr"]:
            select = expr.select_expr
            return Select(expr.id, _node(select.operand), select.field, select.test_only)
        case ["call_expr"]:
            call = expr.call_expr
            target = (_node(call.target),) if call.HasField("target") else ()
            return Call(expr.id, call.function, target + tuple(_node(argument) for argument in call.args))
        case ["list_expr"]:
            return Made(expr.id, (), tuple(_node(item) for item in expr.list_expr.elements), "")
        case ["struct_expr"]:
            entries = expr.struct_expr.entries
            keys = tuple(_node(entry.map_key) for entry in entries if entry.HasField("map_key"))
            return Made(expr.id, keys, tuple(_node(entry.value) for entry in entries), expr.struct_expr.message_name)
        case ["comprehension_expr"]:
            return _fold(expr.id, expr.comprehension_expr)
        case ["const_expr"]:
            return _constant(expr)
        case _:  # a tree that is only partly read would hide what the condition reads
            raise TreeUnreadable(f"the library serialises an expression with {len(kinds)} kinds")


def _fold(number: int, fold: Any) -> Fold:
    return Fold(
        number,
        variable=fold.iter_var,
        second=fold.iter_var2,
        over=_node(fold.iter_range),
        accumulator=fold.accu_var,
        start=_node(fold.accu_init),
        condition=_node(fold.loop_condition),
        step=_node(fold.loop_step),
        result=_node(fold.result),
    )


def _constant(expr: Any) -> Constant:
    constant = expr.const_expr
    if constant.HasField("string_value"):
        return Constant(expr.id, constant.string_value)
    return Constant(expr.id, constant.int64_value if constant.HasField("int64_value") else None)


@cache
def _checked_expression() -> Any:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    package = "tidegate.cel"
    # proto2, so that every field says whether it is there; the bytes are the same
    file = FileDescriptorProto(name="tidegate/cel.proto", package=package, syntax="proto2")
    for message, fields in _FORMAT.items():
        declared = file.message_type.add(name=message)
        for name, number, kind in fields:
            bare = kind.removeprefix("*")
            label = FieldDescriptorProto.LABEL_OPTIONAL if bare == kind else FieldDescriptorProto.LABEL_REPEATED
            field = declared.field.add(name=name, number=number, label=label)
            if bare in _FORMAT:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{package}.{bare}"
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{bare.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{package}.CheckedExpr"))
