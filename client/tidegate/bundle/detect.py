"""What an existing folder tells about the agent in it. Guesses for `tidegate init`; nothing here decides anything."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate.bundle.globs import compile_globs
from tidegate.bundle.requirements import MAX_REQUIREMENTS_BYTES, check_requirements
from tidegate.bundle.tree import SourceFile, scan_tree
from tidegate.errors import JsonInvalid, ReferenceInvalid
from tidegate.formats.config import Kind
from tidegate.formats.jcs import JsonObject, JsonValue, is_storable, parse_json
from tidegate.formats.reference import parse_version, suggest_version

MAX_SCANNED_BYTES = 512 << 10  # of one text file; larger ones are data
MAX_SCANNED_FILES = 5000
DEFAULT_NAMESPACE = "my-team"

# the first pattern that matches a file decides
_PATTERNS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.WEIGHTS, ("**/*.gguf", "**/*.safetensors", "**/*.onnx", "**/*.pt", "**/*.pth")),
    (Kind.SKILLS, ("skills/**", ".claude/skills/**")),
    (Kind.EVALS, ("evals/**", "eval/**", "evaluations/**")),
    (Kind.MEMORY, ("memory/**", "knowledge/**")),
    (Kind.TOOLS, ("tools.json", "tools/*.json", "**/tools/*.json")),
    (Kind.CONFIG, ("config.json", "settings.json", "config/*.json")),
    (
        Kind.PROMPTS,
        ("prompts/**", "**/prompts/**", "**/*.prompt", "**/*prompt*.md", "**/*prompt*.txt", "**/*prompt*.y*ml"),
    ),
    (Kind.DOCS, ("README*", "LICENSE*", "CHANGELOG*", "CONTRIBUTING*", "docs/**")),
)
_JSON_KINDS = frozenset({Kind.TOOLS, Kind.CONFIG})
_SOURCE = frozenset({".py", ".js", ".ts", ".mjs", ".yaml", ".yml", ".toml", ".json", ".sh", ".example"})
_MODEL = re.compile(
    r"((?:[a-z0-9-]+[/.])*(?:gpt|chatgpt|claude|gemini|mistral|mixtral|codestral|llama|qwen|deepseek|grok|minimax|kimi"
    r"|glm|phi|nova|command-r|o[1-9])[a-z0-9]*(?:[-.:][a-zA-Z0-9]+)*(?:@[0-9a-f]{40})?)"
)
_QUOTED = re.compile(r"""["']([^"'\s]{2,120})["']|\bmodel(?:_name|_id)?\s*[:=]\s*([^"'\s#,]{2,120})""")
_SECRET = re.compile(
    r"""(?:environ(?:\.get)?|getenv|env)[\[(.]+["']?([A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD))\b"""
)
_ORIGIN = re.compile(r"url\s*=\s*\S+[:/]([A-Za-z0-9][A-Za-z0-9._-]*)/[^/\s]+?(?:\.git)?\s")
_PROMPT_KEY = re.compile(r"^\s*(?:- )?\w*(?:prompt|template|instructions)\w*\s*:\s*[|>]", re.MULTILINE)
_MAIN_FILES = ("main.py", "agent.py", "app.py", "run.py", "index.js", "index.mjs")


@dataclass(frozen=True, slots=True)
class Detected:
    """What was found. `todo`: what a person must still say, one sentence each."""

    name: str
    version: str
    description: str | None
    entrypoint: tuple[str, ...]
    requirements: str | None
    python: str | None
    components: Mapping[Kind, tuple[str, ...]]
    models: Mapping[str, str]  # id -> where it was found
    tools: tuple[str, ...]
    secrets: tuple[str, ...]
    todo: tuple[str, ...] = ()


def detect_agent(folder: Path, *, name: str | None = None) -> Detected:
    """Look at `folder`. `name`: what the person says it is called. Raises SourceTreeInvalid, as building it would."""
    files = {file.path: file for file in scan_tree(folder).files}
    project = _project(files)
    components = _components(files)
    models, secrets = _mentions(files)
    todo: list[str] = []
    found = Detected(
        name=name or _name(folder, project, todo),
        version=_version(project),
        description=_text(project.get("description")),
        entrypoint=_entrypoint(files, project),
        requirements=_locked(files),
        python=_text(project.get("requires-python")),
        components=components,
        models=models,
        tools=_tool_names(files, components.get(Kind.TOOLS, ())),
        secrets=secrets,
    )
    if not found.entrypoint:
        todo.append("entrypoint: the command that starts the agent; none was found")
    needed = _dependencies(files, project)
    if needed and found.requirements is None:
        todo.append(
            f"runtime: the agent needs {needed}; vendor them, or lock them with hashes: "
            "uv pip compile --generate-hashes -o requirements.lock pyproject.toml"
        )
    return replace(found, todo=tuple(todo))


def _project(files: Mapping[str, SourceFile]) -> JsonObject:
    """Give name, version and so on from pyproject.toml, package.json or an unpacked wheel, whichever there is."""
    if "pyproject.toml" in files:
        try:
            table = tomllib.loads(_read(files["pyproject.toml"])).get("project", {})
        except tomllib.TOMLDecodeError:
            return {}
        return table if isinstance(table, dict) else {}
    value = _json(files["package.json"]) if "package.json" in files else None
    if isinstance(value, dict):
        return value
    metadata = next((path for path in files if path.endswith(".dist-info/METADATA") and path.count("/") == 1), None)
    return _core_metadata(_read(files[metadata])) if metadata is not None else {}


def _core_metadata(text: str) -> JsonObject:
    """Read the headers of a Python distribution. Source: PyPA core metadata specifications."""
    from email.parser import HeaderParser

    headers = HeaderParser().parsestr(text)
    needed: list[JsonValue] = [item for item in headers.get_all("Requires-Dist", []) if "extra ==" not in item]
    return {
        "name": headers.get("Name"),
        "version": headers.get("Version"),
        "description": headers.get("Summary"),
        "requires-python": headers.get("Requires-Python"),
        "dependencies": needed,
    }


def _name(folder: Path, project: JsonObject, todo: list[str]) -> str:
    origin = folder / ".git" / "config"
    match = _ORIGIN.search(origin.read_text("utf-8", "replace") + "\n") if origin.is_file() else None
    namespace = _segment(match[1]) if match else ""
    agent = _segment((_text(project.get("name")) or folder.resolve().name).rpartition("/")[2]) or "agent"
    if not namespace:
        todo.append(f"name: {DEFAULT_NAMESPACE} stands for your namespace in the registry")
    return f"{namespace or DEFAULT_NAMESPACE}/{agent}"


def _segment(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _version(project: JsonObject) -> str:
    text = _text(project.get("version")) or "0.1.0"
    try:
        return parse_version(text)
    except ReferenceInvalid:
        return suggest_version(text) or "0.1.0"


def _entrypoint(files: Mapping[str, SourceFile], project: JsonObject) -> tuple[str, ...]:
    packages = sorted(path.split("/")[-2] for path in files if path.endswith("/__main__.py") and path.count("/") == 1)
    main = next((path for path in _MAIN_FILES if path in files), None)
    if packages and main is None:
        return ("python3", "-m", packages[0])
    if main is not None:
        return ("python3" if main.endswith(".py") else "node", main)
    scripts = project.get("scripts")
    for target in scripts.values() if isinstance(scripts, dict) else ():
        module = str(target).partition(":")[0]
        path = f"{module.replace('.', '/')}.py"
        if path in files and "__main__" in _read(files[path]):
            return ("python3", "-m", module)
    return ()


def _locked(files: Mapping[str, SourceFile]) -> str | None:
    matcher = compile_globs(["*requirements*.txt", "*requirements*.lock", "requirements/*.txt"])
    for path, file in files.items():
        if matcher.match(path) and 0 < file.size <= MAX_REQUIREMENTS_BYTES:
            raw = file.read(MAX_REQUIREMENTS_BYTES)
            if b"--hash=" in raw and not check_requirements(raw, path):
                return path
    return None


def _dependencies(files: Mapping[str, SourceFile], project: JsonObject) -> str:
    listed = project.get("dependencies")
    if isinstance(listed, list | dict) and listed:
        names = [re.split(r"[^A-Za-z0-9._-]", str(item))[0] for item in listed]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004
    return "what requirements.txt lists" if "requirements.txt" in files else ""


def _components(files: Mapping[str, SourceFile]) -> Mapping[Kind, tuple[str, ...]]:
    """Choose patterns so that no file is matched twice; where two would, the files left are named one by one."""
    taken: set[str] = {"agent.yaml", ".tidegateignore"}
    chosen: dict[Kind, list[str]] = {}
    for kind, patterns in _PATTERNS:
        for pattern in patterns:
            matcher = compile_globs([pattern])
            matched = {path for path in files if matcher.match(path)}
            free = {path for path in matched - taken if kind not in _JSON_KINDS or _json(files[path]) is not None}
            if free == matched and free:
                chosen.setdefault(kind, []).append(pattern)
            elif free:
                chosen.setdefault(kind, []).extend(_literal(path) for path in sorted(free))
            taken |= free
    inside = [
        path for path in files if path not in taken and path.endswith((".yaml", ".yml")) and _has_prompt(files[path])
    ]
    chosen.setdefault(Kind.PROMPTS, []).extend(map(_literal, inside))
    return {kind: tuple(chosen[kind]) for kind in Kind if chosen.get(kind)}


def _has_prompt(file: SourceFile) -> bool:
    return _PROMPT_KEY.search(_read(file)) is not None


def _literal(path: str) -> str:
    return re.sub(r"([*?\[\]\\!])", r"\\\1", path)


def _mentions(files: Mapping[str, SourceFile]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    models: dict[str, str] = {}
    secrets: set[str] = set()
    sources = [file for path, file in files.items() if Path(path).suffix in _SOURCE and file.size <= MAX_SCANNED_BYTES]
    for file in sources[:MAX_SCANNED_FILES]:
        for number, line in enumerate(_read(file).splitlines(), 1):
            secrets.update(_SECRET.findall(line))
            for model in _models_in(line):
                models.setdefault(model, f"{file.path}:{number}")
    return dict(sorted(models.items())), tuple(sorted(secrets))


def _models_in(line: str) -> Iterator[str]:
    for quoted, plain in _QUOTED.findall(line):
        match = _MODEL.fullmatch(quoted or plain)
        if match and re.search(r"\d", match[1]) and not re.search(r"\.(py|js|json|ya?ml|md|txt)$", match[1]):
            yield match[1]


def _tool_names(files: Mapping[str, SourceFile], patterns: tuple[str, ...]) -> tuple[str, ...]:
    matcher = compile_globs(patterns) if patterns else None
    names: set[str] = set()
    for path, file in files.items():
        if matcher is not None and matcher.match(path):
            names.update(_names_in(_json(file)))
    return tuple(sorted(names))


def _names_in(value: JsonValue) -> Iterator[str]:
    """Give tool names from the shapes in use: MCP, OpenAI (`function`), and lists of either."""
    if isinstance(value, list):
        for item in value:
            yield from _names_in(item)
    elif isinstance(value, dict):
        if isinstance(name := value.get("name"), str) and name.isprintable() and name:
            yield name
        yield from _names_in(value.get("function") or value.get("tools"))


def _json(file: SourceFile) -> JsonValue:
    if file.size > MAX_SCANNED_BYTES:
        return None
    try:
        return parse_json(file.read(MAX_SCANNED_BYTES), limit=MAX_SCANNED_BYTES, what=file.path)
    except JsonInvalid:
        return None


def _read(file: SourceFile) -> str:
    return file.read(MAX_SCANNED_BYTES).decode("utf-8", "replace") if file.size <= MAX_SCANNED_BYTES else ""


def _text(value: JsonValue) -> str | None:
    if not isinstance(value, str) or not is_storable(value):
        return None
    return " ".join(value.split()) or None
