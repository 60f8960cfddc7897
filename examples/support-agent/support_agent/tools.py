"""The tools: what the signed tools.json promises, checked on every call, and what each one does."""

from __future__ import annotations

import ast
import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation, localcontext
from pathlib import Path

from support_agent.documents import encode_line, load_object, object_of, objects_of, replace_file, text_of, texts_of

MAX_EXPRESSION = 200  # characters; a shop's sum is shorter


class ToolFailed(Exception):
    """The tool could not do it; the message is for the model."""


@dataclass(frozen=True)
class Call:
    """What a tool may know besides its arguments. `state` is None when nothing may be kept (by hand, shadow)."""

    session: str
    state: Path | None


@dataclass(frozen=True)
class Argument:
    """One property of an input schema: text that matches `pattern` as a whole, at most `max_length` characters."""

    pattern: re.Pattern[str]
    max_length: int


class Toolbox:
    """The tools by name. `run` refuses what the signed schema does not allow, whatever the model asks for."""

    def __init__(self, bundle: Path) -> None:
        """Load the schemas. Raises ValueError if tools.json and the code below do not name the same tools."""
        self._orders = bundle / "data" / "orders.json"
        self._tools: Mapping[str, Callable[[dict[str, str], Call], dict[str, str]]] = {
            "lookup_order": self._lookup_order,
            "calculate": self._calculate,
            "propose_refund": self._propose_refund,
        }
        self._schemas = {
            text_of(tool, "name"): _arguments(object_of(object_of(tool, "inputSchema"), "properties"))
            for tool in objects_of(load_object(bundle / "tools.json"), "tools")
        }
        if set(self._schemas) != set(self._tools):
            raise ValueError("tools.json and support_agent/tools.py do not name the same tools")

    def run(self, name: str, arguments: dict[str, str], call: Call) -> dict[str, str]:
        """Run the tool. Raises ToolFailed."""
        if name not in self._tools:
            raise ToolFailed(f"there is no tool {name!r}")
        schema = self._schemas[name]
        if set(arguments) != set(schema):
            raise ToolFailed(f"{name} takes exactly {', '.join(sorted(schema))}")
        for key, rule in schema.items():
            if len(arguments[key]) > rule.max_length or not rule.pattern.fullmatch(arguments[key]):
                raise ToolFailed(f"{key} is not what {name} takes")
        return self._tools[name](arguments, call)

    def _lookup_order(self, arguments: dict[str, str], _call: Call) -> dict[str, str]:
        orders = object_of(load_object(self._orders), "orders")  # read per call: the list may be a live export
        if arguments["orderId"] not in orders:
            raise ToolFailed(f"there is no order {arguments['orderId']}")
        return {"orderId": arguments["orderId"], **texts_of(object_of(orders, arguments["orderId"]))}

    def _calculate(self, arguments: dict[str, str], _call: Call) -> dict[str, str]:
        try:
            with localcontext(prec=28):
                value = _evaluate(ast.parse(arguments["expression"].strip(), mode="eval").body)
        except (SyntaxError, ValueError, DivisionByZero, InvalidOperation, RecursionError, MemoryError) as error:
            raise ToolFailed("that is not a sum I can work out") from error
        return {"value": format(value.normalize() if value else Decimal(0), "f")}

    def _propose_refund(self, arguments: dict[str, str], call: Call) -> dict[str, str]:
        """Leave a proposal for a person. The same proposal twice is one file: the id is a hash of what it says."""
        content = encode_line({"session": call.session, **arguments})
        proposal = hashlib.sha256(content).hexdigest()[:12]
        if call.state is not None:
            replace_file(call.state / "proposals" / f"{proposal}.json", content)
        return {"proposal": proposal}


_OPERATORS: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _evaluate(node: ast.expr) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Decimal(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left), _evaluate(right))
    raise ValueError("only numbers and + - * / are allowed")


def _arguments(properties: Mapping[str, object]) -> dict[str, Argument]:
    result: dict[str, Argument] = {}
    for key, schema in properties.items():
        if not isinstance(schema, dict) or schema.get("type") != "string":
            raise ValueError(f"tools.json: {key} is not a string schema")
        result[key] = Argument(
            re.compile(str(schema.get("pattern", r"(?s:.*)"))), int(schema.get("maxLength", MAX_EXPRESSION))
        )
    return result
