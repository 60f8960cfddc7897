"""Which component each file belongs to: exactly one, by the globs in agent.yaml; what none of them matches is code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tidegate.bundle.globs import IGNORE_FILE, ComponentGlob
from tidegate.bundle.spec import FILE_NAME, AgentFile
from tidegate.errors import Reason
from tidegate.formats.config import Kind
from tidegate.formats.paths import printable

# What they say of behaviour is in the config blob; so a new version number or comment is not a new behaviour.
DESCRIPTIVE_FILES = frozenset({FILE_NAME, IGNORE_FILE})


def assign_components(file: AgentFile, paths: Sequence[str]) -> Mapping[str, Kind]:
    """Give the component of each path. Raises AgentFileInvalid: a double match, a glob that matches nothing."""
    globs = {
        kind: [ComponentGlob.parse(text) for text in texts] for kind, texts in file.spec.components.globs().items()
    }
    free = [path for path in paths if path not in DESCRIPTIVE_FILES]
    reasons = [*_useless(file, globs, free)]
    result = dict.fromkeys(paths, Kind.CODE) | {path: Kind.DOCS for path in paths if path in DESCRIPTIVE_FILES}
    for path in free:
        kinds = [kind for kind, patterns in globs.items() if _chosen(patterns, path)]
        if len(kinds) > 1:
            reasons.append(
                file.mistake(
                    ("components", str(kinds[-1])),
                    f"{printable(path)} belongs to two components, {' and '.join(kinds)}",
                    code="component-twice",
                    hint=f"leave it out of one of them with a glob `!{path}`",
                )
            )
        elif kinds:
            result[path] = kinds[0]
    if reasons:
        raise file.refusal(reasons)
    return result


def _chosen(patterns: Iterable[ComponentGlob], path: str) -> bool:
    matches = [pattern.negated for pattern in patterns if pattern.matcher.match(path)]
    return bool(matches) and not any(matches)


def _useless(file: AgentFile, globs: Mapping[Kind, Sequence[ComponentGlob]], paths: Sequence[str]) -> Iterator[Reason]:
    for kind, patterns in globs.items():
        for index, pattern in enumerate(patterns):
            if not any(pattern.matcher.match(path) for path in paths):
                yield file.mistake(
                    ("components", str(kind), index),
                    "this glob matches no file",
                    code="glob-matches-nothing",
                    found=pattern.pattern,
                    hint="globs start at the folder of agent.yaml; `**` spans folders; ignored files do not count",
                )
