"""Write docs/reference/errors.md: every error class and every reason code, read from the source.

scripts/errors_doc.py            writes the page
scripts/errors_doc.py --check    fails when the page is not what would be written

A code is a literal that is assigned to `code`, or reaches a parameter or a field of that name: of an error class,
`Reason`, or any function or class of ours that passes one on. A code put together at run time could not be found, so it
is refused: `unresolved`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "errors.md"
PACKAGES = (ROOT / "client" / "tidegate", ROOT / "registry" / "tidegate_registry")
# not refusals of ours: other protocols' codes (OCI's are upper-case anyway), and the sandbox's private ones
SKIPPED = {"sandbox"}
CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

HEAD = """# Errors

Generated from the source by `scripts/errors_doc.py`; do not edit.

Every error and every reason in it has a code. Codes are stable: tests, scripts and alerts may rely on them; the wording
of messages may change. The same code appears in the terminal, in `--json`, in the answers of the registry's OCI
endpoints and in its problem documents (RFC 9457). A `step` is the number of a check in the page of `docs/spec/` that
defines it.

`tidegate` ends with 0 done, 1 refused, 2 usage, 3 unreachable, and prints each reason with what was found, what was
expected, and a hint.
"""


@dataclass(frozen=True, slots=True)
class Signature:
    """Where a callable of ours takes the code, the message and the step: positions without `self`, or None."""

    positions: Mapping[str, int]
    kind: str | None  # the error class it makes, when it says so


@dataclass(slots=True)
class ErrorClass:
    """A class of the tree."""

    name: str
    base: str
    code: str | None
    meaning: str
    module: str


@dataclass(slots=True)
class Entry:
    """One code: what is said with it, as what, at which steps and where."""

    messages: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)


class Source:
    """All modules, parsed, with the error classes and the callables that pass a code on."""

    def __init__(self) -> None:
        self.modules = dict(_modules())
        self.classes = _error_classes(self.modules)
        self._signatures: dict[str, dict[str, Signature]] = {}  # by name, then by module
        for name, module, signature in self._find_signatures():
            self._signatures.setdefault(name, {})[module] = signature

    def _signature(self, call: ast.Call, module: str) -> Signature | None:
        """Give the callable of ours that `call` is about: the module's own, else the first one of that name."""
        known = self._signatures.get(_name(call.func), {})
        return known.get(module) or next(iter(known.values()), None)

    def _find_signatures(self) -> Iterator[tuple[str, str, Signature]]:
        for name, error in self.classes.items():
            yield name, error.module, Signature({"message": 0}, name)
        for module, tree in self.modules.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and node.name not in self.classes:
                    names = _fields(node)
                    if "code" in names:
                        yield node.name, module, Signature({name: index for index, name in enumerate(names)}, None)
                if isinstance(node, ast.FunctionDef):
                    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
                    if "code" in (*names, *(argument.arg for argument in node.args.kwonlyargs)):
                        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
                        made = node.returns.id if isinstance(node.returns, ast.Name) else None
                        kind = made if made in self.classes else None
                        yield node.name, module, Signature({name: index for index, name in enumerate(names)}, kind)

    def entries(self) -> dict[str, Entry]:
        """Give every code with what is known of it."""
        entries: dict[str, Entry] = {}
        for error in self.classes.values():
            if error.code:
                entry = entries.setdefault(error.code, Entry())
                entry.kinds.add(error.name)
                entry.modules.add(error.module)
                entry.messages.add(error.meaning)
        for module, tree in self.modules.items():
            for code, message in _assigned(tree):
                entry = entries.setdefault(code, Entry())
                entry.modules.add(module)
                entry.messages.add(message)
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                if (signature := self._signature(call, module)) is None:
                    continue
                for code in _codes(_argument(call, signature, "code")):
                    entry = entries.setdefault(code, Entry())
                    entry.modules.add(module)
                    entry.messages |= _texts(_argument(call, signature, "message"))
                    entry.steps |= _texts(_argument(call, signature, "step"))
                    if signature.kind:
                        entry.kinds.add(signature.kind)
        return entries

    def unresolved(self) -> list[str]:
        """Give the places where a code is put together at run time: they would be missing from the page."""
        return [
            f"{module}:{node.lineno}"
            for module, tree in self.modules.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and (signature := self._signature(node, module)) is not None
            and isinstance(_argument(node, signature, "code"), ast.JoinedStr | ast.BinOp)
        ]


def render(source: Source) -> str:
    """Give the page."""
    lines = [HEAD, "## Classes", "", "| class | its own code | is a | meaning |", "| --- | --- | --- | --- |"]
    for error in source.classes.values():
        code = f"`{error.code}`" if error.code else ""
        lines.append(f"| `{error.name}` | {code} | `{error.base}` | {_cell(error.meaning)} |")
    lines += ["", "## Codes", "", "| code | what is said | as | step | where |", "| --- | --- | --- | --- | --- |"]
    for code, entry in sorted(source.entries().items()):
        said = " · ".join(sorted(_cell(message) for message in entry.messages if message))
        kinds = ", ".join(f"`{kind}`" for kind in sorted(entry.kinds))
        where = ", ".join(f"`{module}`" for module in sorted(entry.modules))
        lines.append(f"| `{code}` | {said} | {kinds} | {', '.join(sorted(entry.steps))} | {where} |")
    return "\n".join(lines) + "\n"


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            if not SKIPPED.intersection(parts):
                yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def _error_classes(modules: Mapping[str, ast.Module]) -> dict[str, ErrorClass]:
    found: dict[str, ErrorClass] = {}
    definitions = [
        (module, node) for module, tree in modules.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    while True:  # a subclass may stand in a module that is read before its base's
        before = len(found)
        for module, node in definitions:
            base = next((_name(base) for base in node.bases if _name(base) in found), "")
            if node.name not in found and (base or node.name == "TidegateError"):
                meaning = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                found[node.name] = ErrorClass(node.name, base or "Exception", _own_code(node), meaning, module)
        if len(found) == before:
            return found


def _own_code(node: ast.ClassDef) -> str | None:
    for item in node.body:
        match item:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str() as code)):
                return code
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str() as code)):
                return code
    return None


def _assigned(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give the codes that functions choose into a variable, as in `code, what = "link-outside", "a link leads …"`."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    for node in (node for function in functions for node in ast.walk(function)):
        match node:
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                yield from ((code, "") for code in _codes(value))
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple(elts=[value, *rest])):
                message = next(iter(_texts(rest[0])), "") if rest else ""
                yield from ((code, message) for code in _codes(value))


def _fields(node: ast.ClassDef) -> list[str]:
    annotated = (item.target for item in node.body if isinstance(item, ast.AnnAssign))
    return [target.id for target in annotated if isinstance(target, ast.Name)]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _argument(call: ast.Call, signature: Signature, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    position = signature.positions.get(name)
    return call.args[position] if position is not None and position < len(call.args) else None


def _codes(node: ast.expr | None) -> set[str]:
    return {text for text in _texts(node) if CODE.fullmatch(text)}


def _texts(node: ast.expr | None) -> set[str]:
    """Give the texts that an expression may be; what is filled in shows as `…`."""
    match node:
        case ast.Constant(value=str() as text):
            return {text}
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body) | _texts(orelse)
        case ast.JoinedStr(values=values):
            return {"".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in values)}
    return set()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Give the exit status."""
    source = Source()
    if places := source.unresolved():
        print("codes are literals, so that this page is complete; not so at:", *places, sep="\n  ", file=sys.stderr)
        return 1
    page = render(source)
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE.relative_to(ROOT)} is out of date: run scripts/errors_doc.py", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
