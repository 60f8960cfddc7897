"""Globs over paths: which files are ignored, and which component a file belongs to. Equal on every system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wcmatch.glob import WcMatcher

_SPECIAL = frozenset("*?[]\\{}!()+@~")  # whatever a glob might read otherwise than as itself
IGNORE_FILE = ".tidegateignore"
MAX_IGNORE_FILE_BYTES = 256 << 10

# Part of the format: changing it changes digests. Source: docs/spec/bundle.md, "Ignored files".
DEFAULT_IGNORES = (
    *(".git", ".hg", ".svn", ".bzr", ".jj", ".tidegate"),
    *("__pycache__", "*.pyc", "*.pyo", ".venv", "venv", ".tox", ".nox", "*.egg-info", ".eggs"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints", ".coverage", "htmlcov"),
    *(".idea", ".vscode", ".DS_Store", "Thumbs.db", "desktop.ini", "*.swp", "*~"),
    *(".env", ".env.*", "!.env.example", ".netrc", ".pypirc", ".npmrc"),
)


def compile_globs(patterns: Iterable[str]) -> WcMatcher[str]:
    """Compile globs: `*`, `?`, `[…]` within a segment, `**` across them; case counts, a leading dot does not."""
    from wcmatch import glob

    flags = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
    return glob.compile(list(patterns), flags=flags)


@dataclass(frozen=True, slots=True)
class ComponentGlob:
    """One pattern of a component: a file, a glob, or a folder with all that is in it; `!` in front takes away."""

    pattern: str
    matcher: WcMatcher[str]
    negated: bool

    @classmethod
    def parse(cls, pattern: str) -> ComponentGlob:
        """Compile `pattern`."""
        negated = pattern.startswith("!")
        body = pattern.removeprefix("!").removeprefix("./").rstrip("/")
        return cls(pattern, compile_globs([body, f"{body}/**"]), negated)


@dataclass(frozen=True, slots=True)
class _Rule:
    """`matcher` looks at the whole path if `anchored`, else at the last segment; None: that is `literal`."""

    literal: str
    matcher: WcMatcher[str] | None
    anchored: bool
    negated: bool
    folders_only: bool

    def matches(self, path: str, name: str, *, is_folder: bool) -> bool:
        if self.folders_only and not is_folder:
            return False
        if self.matcher is None:
            return name == self.literal
        return self.matcher.match(path if self.anchored else name)


class IgnoreRules:
    """The patterns of gitignore(5): the last that matches decides; nothing below an ignored folder comes back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules = [rule for line in lines if (rule := _parse(line)) is not None]

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether `path`, whose parent folders are not ignored, is."""
        name = path.rpartition("/")[2]
        for rule in reversed(self._rules):
            if rule.matches(path, name, is_folder=is_folder):
                return not rule.negated
        return False


def _parse(line: str) -> _Rule | None:
    text = line.rstrip("\r\n")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    body = text.removeprefix("!")
    folders_only = body.endswith("/")
    body = body.rstrip("/")
    if not body:
        return None
    anchored = "/" in body
    plain = not anchored and not _SPECIAL.intersection(body)
    matcher = None if plain else compile_globs([body.removeprefix("/")])
    return _Rule(body, matcher, anchored, negated, folders_only)
