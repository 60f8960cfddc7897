"""What a change of a JSON Schema means for those who send documents by it and those who read them. Pure.

Schemas are read as JSON Schema 2020-12. The comparison never calls a change harmless that is not: what it cannot
follow is `other`. One reading is not that of a validator: an object that names properties and says nothing about
further ones is taken to be sent with the named ones alone, for else adding an optional parameter would break everybody.
Source: docs/spec/diff.md, "JSON Schemas".
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from enum import StrEnum

from tidegate.bundle.diff.keywords import (
    ANNOTATIONS,
    DEFINITIONS,
    Schema,
    alternatives,
    as_number,
    as_object,
    asserting,
    by_type,
    constants,
    definitions_of,
    is_definition,
    is_silent,
    joined,
    json_text,
    listed,
    name_set,
    reference_of,
    references_in,
    short_name,
    shown,
    shown_change,
    type_set,
)
from tidegate.formats.jcs import JsonObject, JsonValue

MAX_NODES = 20_000  # pairs of schemas looked at in one comparison; tool schemas have some hundred
MAX_WORK = 8 << 20  # bytes written out to see whether parts are equal; alternatives multiply
MAX_DEPTH = 80  # of one schema inside another, references followed; documents are at most 64 levels deep
MAX_HOPS = 32  # from reference to reference, until there is a schema

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OBJECT = frozenset({"properties", "required", "additionalProperties"})
_UNEVALUATED = frozenset({"unevaluatedProperties", "unevaluatedItems"})
_COMPARED = frozenset({*_LOWER, *_UPPER, *_OBJECT})
_COMPARED |= {"type", "enum", "const", "items", "propertyNames", "anyOf", "pattern", "format", "multipleOf"}
_COMPARED |= {"uniqueItems"}


class Effect(StrEnum):
    """What a change does to the set of documents.

    `wider`: all old ones are still good. `narrower`: all new ones were good before. `either`: both, as far as anybody
    sends them. `words`: nothing; only annotations differ. `other`: neither, or it cannot be told.
    """

    WIDER = "wider"
    NARROWER = "narrower"
    EITHER = "either"
    WORDS = "words"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change. `path`: where in the described document, such as `order.lines[].amount`; empty for its top."""

    path: str
    effect: Effect
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def compare_schemas(before: Schema, after: Schema) -> tuple[SchemaChange, ...]:
    """Give every change from `before` to `after`, in the order of the document."""
    if json_text(before) == json_text(after):
        return ()
    comparison = _Comparison(before, after)
    comparison.compare(before, after, "")
    if comparison.exhausted:
        return (SchemaChange("", Effect.OTHER, "the schemas are too large to compare"),)
    return tuple(dict.fromkeys(comparison.changes))


def overall(changes: Sequence[SchemaChange]) -> Effect | None:
    """Sum up changes of one schema; None when there are none."""
    effects = {change.effect for change in changes}
    if Effect.OTHER in effects or {Effect.WIDER, Effect.NARROWER} <= effects:
        return Effect.OTHER
    order = (Effect.WIDER, Effect.NARROWER, Effect.EITHER, Effect.WORDS)
    return next((effect for effect in order if effect in effects), None)


def breaks_sender(effect: Effect | None) -> bool:
    """Whether someone who sends by the old schema may be refused by the new one: inputs."""
    return effect in {Effect.NARROWER, Effect.OTHER}


def breaks_reader(effect: Effect | None) -> bool:
    """Whether someone who reads by the old schema may meet what it does not allow: outputs, the mirror image."""
    return effect in {Effect.WIDER, Effect.OTHER}


class _Comparison:
    """One walk over two schemas. `stack`: pairs of references being followed, taken to be equal where they recur."""

    def __init__(self, before: Schema, after: Schema) -> None:
        self.roots = (before, after)
        self.changes: list[SchemaChange] = []
        self.nodes = self.work = self.depth = 0
        self.stack: list[tuple[str, str]] = []
        self.done: set[tuple[str, str]] = set()  # told already
        self.same_definitions = self._equal(definitions_of(before), definitions_of(after))

    @property
    def exhausted(self) -> bool:
        return self.nodes > MAX_NODES or self.work > MAX_WORK

    def compare(self, before: Schema, after: Schema, path: str) -> None:
        self.nodes += 1
        if self.exhausted or self._same(before, after):
            return
        if self.depth >= MAX_DEPTH:
            self._add(path, Effect.OTHER, "nested too deeply to compare")
            return
        self.depth += 1
        self._unequal(before, after, path)
        self.depth -= 1

    def _unequal(self, before: Schema, after: Schema, path: str) -> None:
        pair = (reference_of(before), reference_of(after))
        if pair != ("", ""):
            self._follow(before, after, path, pair)
            return
        if before is False or after is False:
            effect = Effect.WIDER if before is False else Effect.NARROWER
            self._add(path, effect, "allowed now" if before is False else "no longer allowed")
            return
        one, two = as_object(before), as_object(after)
        if one is None or two is None:
            self._add(path, Effect.OTHER, "one of the two is no schema")
            return
        self._keywords(one, two, path)

    def _keywords(self, one: JsonObject, two: JsonObject, path: str) -> None:
        left, right = asserting(one), asserting(two)
        if _UNEVALUATED & {*left, *right} and not self._same(left, right):
            self._add(path, Effect.OTHER, "changed, where `unevaluated…` makes one keyword depend on all others")
            return
        one_of, two_of = alternatives(left), alternatives(right)
        if one_of is not None or two_of is not None:
            self._any_of(one_of or by_type(left), two_of or by_type(right), path)
        else:
            self._type(left, right, path)
            self._values(left, right, path)
            self._bounds(left, right, path)
            self._object(left, right, path)
            self._array(left, right, path)
            self._strings(left, right, path)
            self._inner_any_of(left, right, path)
            self._rest(left, right, path)
        for name in sorted(ANNOTATIONS):
            if not self._equal(one.get(name), two.get(name)):
                self._add(path, Effect.WORDS, f"{name} {shown_change(one.get(name), two.get(name))}")

    def _follow(self, before: Schema, after: Schema, path: str, pair: tuple[str, str]) -> None:
        """Look behind references; a pair of them that is met again has the answer of where it was met first."""
        if "" not in pair and (pair in self.stack or pair in self.done):
            return
        try:
            one, two = self._resolved(before, 0), self._resolved(after, 1)
        except LookupError:
            self._add(path, Effect.OTHER, f"{shown(pair[0] or None)} → {shown(pair[1] or None)} cannot be followed")
            return
        self.stack.append(pair)
        self.compare(one, two, path)
        self.stack.pop()
        if "" not in pair:
            self.done.add(pair)

    def _resolved(self, schema: Schema, side: int) -> Schema:
        """Give what a reference names, in the end. Raises LookupError for one that leads elsewhere or is not alone."""
        for _ in range(MAX_HOPS):
            if not (name := reference_of(schema)):
                return schema
            if not isinstance(schema, dict) or asserting(schema).keys() != {"$ref"}:
                raise LookupError(name)
            schema = self._named(name, side)
        raise LookupError

    def _named(self, name: str, side: int) -> Schema:
        if name == "#":
            return self.roots[side]
        parts = name.split("/")
        if len(parts) != 3 or parts[0] != "#" or parts[1] not in DEFINITIONS:  # noqa: PLR2004 - "#", "$defs", a name
            raise LookupError(name)
        found: JsonValue = self.roots[side]
        for part in (parts[1], parts[2].replace("~1", "/").replace("~0", "~")):
            if not isinstance(found, dict) or part not in found:
                raise LookupError(name)
            found = found[part]
        return found

    def _same(self, before: Schema, after: Schema) -> bool:
        """Whether they are equal, and mean the same in both documents."""
        if not self._equal(before, after):
            return False
        names = set(references_in(before))
        return not names or (self.same_definitions and all(is_definition(name) for name in names))

    def _equal(self, one: JsonValue, two: JsonValue) -> bool:
        texts = json_text(one), json_text(two)
        self.work += len(texts[0]) + len(texts[1])
        return texts[0] == texts[1]

    def _add(self, path: str, effect: Effect, message: str) -> None:
        self.changes.append(SchemaChange(path, effect, message))

    def _one_way(self, path: str, message: str, *, wider: bool, narrower: bool) -> None:
        effect = {(True, False): Effect.WIDER, (False, True): Effect.NARROWER, (True, True): Effect.EITHER}
        self._add(path, effect.get((wider, narrower), Effect.OTHER), message)

    # alternatives

    def _effect(self, before: Schema, after: Schema) -> Effect | None:
        """Compare aside: nothing of it is told."""
        aside = copy(self)
        aside.changes, aside.stack, aside.done = [], list(self.stack), set()
        aside.compare(before, after, "")
        self.nodes, self.work = aside.nodes, aside.work
        return overall(aside.changes)

    def _any_of(self, one: Sequence[Schema], two: Sequence[Schema], path: str) -> None:
        pairs = [pair for pair in zip(one, two, strict=False) if not self._same(*pair)]
        if len(one) == len(two) and len(pairs) == 1:
            self.compare(*pairs[0], path)
            return
        effects = [[self._effect(left, right) for right in two] for left in one]
        wider = all(any(not breaks_sender(effect) for effect in row) for row in effects)
        narrower = all(any(not breaks_reader(row[index]) for row in effects) for index in range(len(two)))
        names = [", ".join(short_name(branch) for branch in branches) for branches in (one, two)]
        if wider and narrower and all(Effect.WORDS in row or None in row for row in effects):
            self._add(path, Effect.WORDS, "the alternatives are worded otherwise")
        else:
            self._one_way(path, f"one of {names[0]} → one of {names[1]}"[:400], wider=wider, narrower=narrower)

    def _inner_any_of(self, left: JsonObject, right: JsonObject, path: str) -> None:
        one, two = left.get("anyOf"), right.get("anyOf")
        if one is None and two is None:
            return
        if not all(each is None or (isinstance(each, list) and each) for each in (one, two)):
            if not self._equal(one, two):
                self._add(path, Effect.OTHER, "anyOf is not given as a list")
            return
        self._any_of(
            one if isinstance(one, list) and one else [{}], two if isinstance(two, list) and two else [{}], path
        )

    # keywords

    def _type(self, left: JsonObject, right: JsonObject, path: str) -> None:
        one, two = left.get("type"), right.get("type")
        if self._equal(one, two):
            return
        message = f"type {shown(one)} → {shown(two)}"
        allowed = type_set(one), type_set(two)
        if allowed[0] is None or allowed[1] is None:
            self._add(path, Effect.OTHER, message)
        else:
            self._one_way(path, message, wider=allowed[0] <= allowed[1], narrower=allowed[0] >= allowed[1])

    def _values(self, left: JsonObject, right: JsonObject, path: str) -> None:
        if not all(isinstance(schema.get("enum", []), list) for schema in (left, right)):
            if not self._equal(left.get("enum"), right.get("enum")):
                self._add(path, Effect.OTHER, "enum is not given as a list")
            return
        one, two = constants(left), constants(right)
        if one == two:
            return
        if one is None or two is None:
            values = "any value" if one is None else listed(one), "any value" if two is None else listed(two)
            self._one_way(path, f"{values[0]} → {values[1]}", wider=two is None, narrower=one is None)
            return
        gone, come = sorted(one - two), sorted(two - one)
        said = [f"value {value} added" for value in come] + [f"value {value} removed" for value in gone]
        self._one_way(path, "; ".join(said)[:400], wider=not gone, narrower=not come)

    def _bounds(self, left: JsonObject, right: JsonObject, path: str) -> None:
        for name in (*_LOWER, *_UPPER):
            one, two = left.get(name), right.get(name)
            if self._equal(one, two):
                continue
            message = f"{name} {shown(one)} → {shown(two)}"
            numbers = as_number(one), as_number(two)
            if (one is not None and numbers[0] is None) or (two is not None and numbers[1] is None):
                self._add(path, Effect.OTHER, message)
                continue
            weakest = float("-inf") if name in _LOWER else float("inf")
            first, second = (weakest if number is None else number for number in numbers)
            wider = second <= first if name in _LOWER else second >= first
            self._one_way(path, message, wider=wider, narrower=not wider)

    def _strings(self, left: JsonObject, right: JsonObject, path: str) -> None:
        """Keywords of which one text cannot be compared with another: they are there, or they are not."""
        for name in ("pattern", "format", "multipleOf", "uniqueItems"):
            one, two = left.get(name), right.get(name)
            if name == "uniqueItems":
                one, two = one or None, two or None  # false is the default
            if self._equal(one, two):
                continue
            wider, narrower = two is None, one is None
            if name == "multipleOf" and type(one) is int and type(two) is int and one > 0 and two > 0:
                wider, narrower = one % two == 0, two % one == 0
            self._one_way(path, f"{name} {shown(one)} → {shown(two)}", wider=wider, narrower=narrower)

    def _array(self, left: JsonObject, right: JsonObject, path: str) -> None:
        one, two = left.get("items", True), right.get("items", True)
        if isinstance(one, list) or isinstance(two, list):  # a tuple, as drafts up to 2019-09 wrote it
            if not self._same(one, two):
                self._add(path, Effect.OTHER, "items changed")
            return
        self.compare(one, two, f"{path}[]")

    def _rest(self, left: JsonObject, right: JsonObject, path: str) -> None:
        """Whatever else says anything: `allOf`, `oneOf`, `not`, `if`, `patternProperties`, unknown keywords."""
        for name in sorted({*left, *right} - _COMPARED):
            if name not in left or name not in right or not self._same(left[name], right[name]):
                self._add(path, Effect.OTHER, f"{shown(name)} changed")

    # objects

    def _object(self, left: JsonObject, right: JsonObject, path: str) -> None:
        self._required(left, right, path)
        if "propertyNames" in left or "propertyNames" in right:
            self.compare(left.get("propertyNames", True), right.get("propertyNames", True), joined(path, "{names}"))
        one, two = left.get("properties", {}), right.get("properties", {})
        if not isinstance(one, dict) or not isinstance(two, dict):
            if not self._same(one, two):
                self._add(path, Effect.OTHER, "properties are not given as an object")
            return
        for name in sorted({*one, *two}):
            where = joined(path, name)
            if name in one and name in two:
                self.compare(one[name], two[name], where)
            elif name in two:
                self._added(two[name], left, where)
            else:
                self._removed(one[name], right, where)
        further = left.get("additionalProperties", True), right.get("additionalProperties", True)
        self.compare(further[0], further[1], joined(path, "*"))

    def _required(self, left: JsonObject, right: JsonObject, path: str) -> None:
        one, two = name_set(left.get("required", [])), name_set(right.get("required", []))
        if one is None or two is None:
            if not self._equal(left.get("required"), right.get("required")):
                self._add(path, Effect.OTHER, "required changed")
            return
        for name in sorted(two - one):
            self._add(joined(path, name), Effect.NARROWER, "required now")
        for name in sorted(one - two):
            self._add(joined(path, name), Effect.WIDER, "no longer required")

    def _added(self, schema: Schema, left: JsonObject, where: str) -> None:
        message = f"added ({short_name(schema)})"
        if "patternProperties" in left:
            self._add(where, Effect.OTHER, f"{message}, where patterns gave it a schema before")
        elif is_silent(left):
            self._add(where, Effect.EITHER, message)
        else:
            self._against(left.get("additionalProperties", True), schema, where, message)

    def _removed(self, schema: Schema, right: JsonObject, where: str) -> None:
        message = f"removed (was {short_name(schema)})"
        if "patternProperties" in right:
            self._add(where, Effect.OTHER, f"{message}, where patterns give it a schema now")
        elif is_silent(right):
            self._add(where, Effect.NARROWER, message)
        else:
            self._against(schema, right.get("additionalProperties", True), where, message)

    def _against(self, before: Schema, after: Schema, where: str, message: str) -> None:
        """Compare what a property may be with what further ones may be: to them it belonged, or belongs now."""
        effect = self._effect(before, after)
        self._add(where, Effect.EITHER if effect in {None, Effect.WORDS} else effect, message)
