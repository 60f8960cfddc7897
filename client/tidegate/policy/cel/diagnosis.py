"""From the library's words about a condition to ours: where, what, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from tidegate.errors import WhenInvalid
from tidegate.policy.cel.schemas import FieldType, ListOf, MapOf, Message

EXCERPT: Final = 100  # characters of a line that an error shows: terminals have 120 columns
_PROBLEM: Final = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?: \[[A-Z_]+\])?$", re.MULTILINE)
_FIELD: Final = re.compile(r"undefined field '(.*)' not found in struct 'tidegate\.(.*)'")
_NAME: Final = re.compile(r"undeclared reference to '(.*)' \(in container ''\)")
_OVERLOAD: Final = re.compile(r"found no matching overload for '(.*)' applied to '\((.*)\)'")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_FUNCTIONS: Final = (
    *("has", "size", "all", "exists", "exists_one", "map", "filter", "matches", "startsWith", "endsWith", "contains"),
    *("timestamp", "duration", "int", "double", "string", "bool", "dyn", "type", "getHours", "getDayOfWeek"),
)


@dataclass(frozen=True, slots=True)
class _Problem:
    """One thing the library complains of. `at`: characters from the start of `text`."""

    text: str
    at: int
    said: str


def refuse(
    text: str, at: int, message: str, *, code: str, expected: object | None = None, hint: str | None = None
) -> WhenInvalid:
    """Make the error about the character `at` (from 0) of the condition `text`."""
    before = text[:at]
    start = before.rfind("\n") + 1
    row, column = before.count("\n") + 1, at - start + 1
    return WhenInvalid(
        f"{row}:{column}: {message}",
        code=code,
        line=row,
        column=column,
        excerpt=_excerpt(text[start:].split("\n", 1)[0], at - start),
        expected=expected,
        hint=hint,
    )


def _excerpt(line: str, column: int) -> str:
    """Give the line, or what of a long one is around `column`, and a caret below."""
    first = max(0, column - EXCERPT // 2) if len(line) > EXCERPT else 0
    shown = line[first : first + EXCERPT]
    lead = "".join("\t" if character == "\t" else " " for character in shown[: column - first])
    return f"{shown}\n{lead}^"


def explain(text: str, said: str, variables: Iterable[str], schemas: Iterable[Message]) -> WhenInvalid:
    """Make the error for what the library said of `text`; its `reasons` hold one for each complaint.

    `variables`: those there are. `schemas`: of the variables, for suggestions.
    """
    known = tuple(variables)
    messages = {message.name: message for schema in schemas for message in _messages(schema)}
    found = [_explain_one(problem, known, messages) for problem in _problems(text, said)]
    first = found[0]
    unique = {(error.line, error.column, error.message): error.reasons[0] for error in found}
    first.reasons = tuple(unique.values())
    return first


def _problems(text: str, said: str) -> Iterator[_Problem]:
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found = False
    for line, column, message in _PROBLEM.findall(said):
        found = True
        if "'*error*'" in message:  # it follows from another, which is told
            continue
        row = min(max(int(line), 1), len(starts)) - 1
        yield _Problem(text, min(starts[row] + max(int(column), 1) - 1, len(text)), message)
    if not found:
        yield _Problem(text, 0, said.removeprefix("INVALID_ARGUMENT: ").split("\n", 1)[0][:200])


def _explain_one(problem: _Problem, variables: tuple[str, ...], messages: dict[str, Message]) -> WhenInvalid:
    explainers: tuple[tuple[re.Pattern[str], Callable[[_Problem, re.Match[str]], WhenInvalid]], ...] = (
        (_FIELD, lambda problem, match: _unknown_field(problem, match[1], messages.get(match[2]))),
        (_NAME, lambda problem, match: _unknown_name(problem, match[1].split(".")[0], variables)),
        (_OVERLOAD, lambda problem, match: _wrong_types(problem, match[1], match[2])),
    )
    for pattern, explainer in explainers:
        match = pattern.search(problem.said)
        if match:
            return explainer(problem, match)
    if problem.said.startswith("Syntax error: "):
        return _syntax(problem, problem.said.removeprefix("Syntax error: "))
    if "recursion" in problem.said:
        return too_deep(problem.text)
    return refuse(problem.text, problem.at, problem.said.replace("tidegate.", "")[:200], code="when-invalid")


def too_deep(text: str) -> WhenInvalid:
    """Make the error for a condition whose parts are nested too deep to be read."""
    return refuse(
        text,
        0,
        "the condition is nested too deep",
        code="when-too-complex",
        hint="split it into several requirements; all of them must hold anyway",
    )


def _unknown_field(problem: _Problem, name: str, message: Message | None) -> WhenInvalid:
    fields = () if message is None else tuple(message.fields)
    at = problem.text.find(name, problem.at)
    return refuse(
        problem.text,
        at if at >= 0 else problem.at,
        f"there is no member `{name}` here",
        code="when-unknown-field",
        expected=f"one of {', '.join(fields)}" if fields else None,
        hint=_did_you_mean(name, fields),
    )


def _unknown_name(problem: _Problem, name: str, variables: tuple[str, ...]) -> WhenInvalid:
    text, at = problem.text, problem.at
    # the place is the parenthesis of a call, also of a macro around the name, or the last dot of a path
    function = text[at : at + 1] == "(" and text[:at].endswith(name)
    before = text.rfind(name, 0, at + len(name))
    start = at - len(name) if function else before if before >= 0 else text.find(name, at)
    hint = _did_you_mean(name, (*variables, *_FUNCTIONS))
    if name == "baseline":
        hint = "write `baseline: current` beside this `when`"
    return refuse(
        text,
        start if start >= 0 else at,
        f"there is no {'function' if function else 'variable'} `{name}`",
        code="when-unknown-name",
        expected=None if function else f"one of {', '.join(variables)}",
        hint=hint,
    )


def _wrong_types(problem: _Problem, function: str, types: str) -> WhenInvalid:
    shown = function.strip("_@") if function != "_?_:_" else "? :"
    taken = types.replace("tidegate.", "").replace("google.protobuf.", "").lower()
    hint = None
    if {"int", "double"} <= set(taken.split(", ")):
        hint = _other_number(problem.text, problem.at, len(shown))
    return refuse(
        problem.text,
        problem.at,
        f"`{shown}` cannot be used on {taken.replace(', ', ' and ')}",
        code="when-wrong-types",
        hint=hint or "compare values of one type; string(), int() and double() change it",
    )


def _other_number(text: str, at: int, width: int) -> str:
    """Suggest how to write the literal beside an operator on an int and a double."""
    after = _NUMBER.match(text, at + width + len(text[at + width :]) - len(text[at + width :].lstrip(" -(")))
    before = [match for match in _NUMBER.finditer(text, 0, at) if not text[match.end() : at].strip(" )")]
    number = after or (before[-1] if before else None)
    if number is None:
        return "counts are int, ratios and amounts are double: change one with double()"
    literal = number[0]
    if "." not in literal:
        return f"write {literal}.0: the other side is a double"
    whole = literal.rstrip("0").rstrip(".")
    return f"write {whole}: the other side is an int" if "." not in whole else "the other side is an int: use double()"


def _syntax(problem: _Problem, said: str) -> WhenInvalid:
    rest = problem.text[problem.at :]
    hint = None
    for wrong, right in (("=", "=="), ("&", "&&"), ("|", "||"), ("and", "&&"), ("or", "||"), ("not", "!")):
        if re.match(rf"{re.escape(wrong)}(?![\w=&|])", rest):
            hint = f"write `{right}`"
            break
    shown = re.sub(r" expecting \{.*", "", said).replace("'<EOF>'", "the end").replace("<EOF>", "the end")
    return refuse(problem.text, problem.at, f"this is no CEL: {shown[:160]}", code="when-syntax", hint=hint)


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    known = tuple(known)
    exact = [each for each in known if each.lower() == name.lower().replace("_", "")]
    close = exact or get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None


def _messages(kind: FieldType) -> Iterator[Message]:
    match kind:
        case Message(fields=fields):
            yield kind
            for field in fields.values():
                yield from _messages(field)
        case ListOf(item=inside) | MapOf(value=inside):
            yield from _messages(inside)
