"""A comparison as lines for a person: signs and words say everything, styles only help.

Every character that could steer a terminal or deceive a reader is written as an escape: prompts come from strangers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from tidegate.bundle.diff.model import BundleDiff, Change, ComponentSize, FileChange, Part, Sign, TextDiff
from tidegate.bundle.diff.step import Step, VersionStep
from tidegate.bundle.inspection import size_text
from tidegate.formats.paths import printable

SHOWN_FILES = 15  # without --files
_LABEL = 12  # columns before a value
_SIGNS = {Sign.ADDED: "+", Sign.REMOVED: "-", Sign.CHANGED: "~"}


class Style(Enum):
    """How a line is coloured, where colour may be used."""

    PLAIN = "plain"
    HEAD = "head"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MAJOR = "major"
    FAINT = "faint"
    WARNING = "warning"


Line = tuple[Style, str]


def describe(found: BundleDiff, *, files: bool = False) -> Iterator[Line]:
    """Write it. `files`: list every changed file, not only the first SHOWN_FILES of them."""
    for style, text in _all(found, files=files):
        yield style, visible(text)


def visible(text: str) -> str:
    """Escape what is not seen as it is; tabs stay, as they are harmless and prompts are full of them."""
    return "\t".join(printable(part) for part in text.split("\t"))


def step_lines(step: VersionStep) -> Iterator[Line]:
    """Say which step was taken and which one is demanded, with the lines that demand it."""
    if step.taken is None:
        yield Style.PLAIN, _field("step", f"{step.demanded} by what changed; {_not_counted(step)}")
    elif step.enough:
        yield Style.PLAIN, _field("step", f"{step.taken} taken, {step.demanded} demanded{_because(step)}: enough")
    else:
        yield (
            Style.WARNING,
            _field(
                "step",
                f"{step.taken} taken, {step.demanded} demanded{_because(step)}: TOO SMALL, release it as "
                f"{step.proposed}",
            ),
        )
    for line in step.lines:
        yield Style.PLAIN, f"{'':<{_LABEL}}{line}"
    if step.omitted:
        yield Style.FAINT, f"{'':<{_LABEL}}and {step.omitted} more"


def _all(found: BundleDiff, *, files: bool) -> Iterator[Line]:
    yield from _head(found)
    if found.identical:
        return
    texts = {text.path: text for text in found.texts}
    for part in Part:
        changes = found.of(part)
        about = [text for text in found.texts if text.component == part and not _told(text, changes)]
        if changes or about:
            yield Style.PLAIN, ""
            yield Style.HEAD, str(part)
        for change in changes:
            yield from _change(change)
            if change.subject in texts and part == texts[change.subject].component:
                yield from _text(texts[change.subject])
        for text in about:
            yield Style.PLAIN, f"    {text.path}"
            yield from _text(text)
    if found.omitted_changes:
        yield Style.FAINT, f"  and {found.omitted_changes} smaller changes"
    yield from _files(found, SHOWN_FILES if not files else len(found.files))
    yield from _sizes(found)
    if found.changelog:
        yield from ((Style.PLAIN, ""), (Style.HEAD, "changelog of the newer one"))
        yield from ((Style.PLAIN, f"  {line}") for line in found.changelog.splitlines())
    if found.notes:
        yield from ((Style.PLAIN, ""), (Style.HEAD, "not looked at"))
        yield from ((Style.WARNING, f"  {note}") for note in found.notes)


def _head(found: BundleDiff) -> Iterator[Line]:
    one, two = found.before, found.after
    agents = two.agent if one.agent == two.agent else f"{one.agent} → {two.agent}"
    yield Style.HEAD, f"{agents or 'a bundle without a name'} {one.version or '?'} → {two.version or '?'}"
    yield Style.PLAIN, ""
    if found.identical:
        yield Style.PLAIN, _field("digest", f"{two.digest}, on both sides: nothing changed")
        return
    yield Style.PLAIN, _field("before", f"{one.digest}  {size_text(one.size)}")
    yield Style.PLAIN, _field("after", f"{two.digest}  {size_text(two.size)}")
    said = {
        "same": "the same: nothing that the agent acts on changed",
        "other": "another",
        "unknown": "unknown, as one of them is an artifact of another tool",
    }[found.behaviour]
    yield Style.PLAIN, _field("behaviour", said)
    if found.step is not None:
        yield from step_lines(found.step)
    else:
        yield Style.PLAIN, _field("step", f"{found.demanded} demanded by what changed")


def _because(step: VersionStep) -> str:
    return "" if step.needed is step.demanded else f" ({step.needed} does, before 1.0.0)"


def _not_counted(step: VersionStep) -> str:
    if step.version.partition("-")[0] == step.base.partition("-")[0]:
        return "a pre-release is measured by the release before it"
    return "it is compared backwards"


def _change(change: Change) -> Iterator[Line]:
    styles = {Sign.ADDED: Style.ADDED, Sign.REMOVED: Style.REMOVED, Sign.CHANGED: Style.CHANGED}
    style = Style.MAJOR if change.step is Step.MAJOR else styles[change.sign]
    said = " ".join(part for part in (change.subject, change.message) if part)
    yield style, f"  {_SIGNS[change.sign]} {change.step:<6}{said}"
    for each in change.schema:
        yield Style.PLAIN, f"{'':<10}{each.effect:<9}{each}"


def _told(text: TextDiff, changes: Sequence[Change]) -> bool:
    return any(change.subject == text.path for change in changes)


def _text(text: TextDiff) -> Iterator[Line]:
    styles = {"+": Style.ADDED, "-": Style.REMOVED, "@": Style.FAINT, "\\": Style.FAINT}
    for line in text.lines:
        yield styles.get(line[:1], Style.PLAIN), f"      {line}"
    if text.left_out is not None:
        yield Style.WARNING, f"      ({text.left_out})"


def _files(found: BundleDiff, most: int) -> Iterator[Line]:
    if not found.files:
        return
    counts = Counter(file.sign for file in found.files)
    said = ", ".join(f"{counts[sign]} {sign}" for sign in Sign if counts[sign])
    yield from ((Style.PLAIN, ""), (Style.HEAD, f"files: {said}"))
    styles = {Sign.ADDED: Style.ADDED, Sign.REMOVED: Style.REMOVED, Sign.CHANGED: Style.PLAIN}
    rows = [(_SIGNS[file.sign], file.path, file.component, _file(file)) for file in found.files[:most]]
    for file, row in zip(found.files, _columns(rows), strict=False):
        yield styles[file.sign], row
    left = len(found.files) - len(rows) + found.omitted_files
    if left:
        yield Style.FAINT, f"  and {left} more" + ("" if found.omitted_files else "; --files lists them")


def _file(file: FileChange) -> str:
    if file.before_size is None:
        return f"{size_text(file.after_size or 0)}{', executable' if file.after_mode == 'x' else ''}"
    if file.after_size is None:
        return size_text(file.before_size)
    said = [f"was in {file.was}"] if file.was is not None else []
    if not file.same_bytes:
        said.append(_change_of_size(file.before_size, file.after_size))
    if file.before_mode != file.after_mode:
        said.append("executable now" if file.after_mode == "x" else "no longer executable")
    return ", ".join(said)


def _sizes(found: BundleDiff) -> Iterator[Line]:
    rows = [_size(size) for size in found.sizes if not size.same]
    total = _change_of_size(found.before.size, found.after.size)
    yield from ((Style.PLAIN, ""), (Style.HEAD, f"size: {total}"))
    yield from ((Style.PLAIN, row) for row in _columns(rows))


def _size(size: ComponentSize) -> tuple[str, str, str]:
    name = f"{size.component} {size.path}" if size.path else size.component
    if size.component == "models" and size.path is None:
        name = "models (pins)"
    if size.before is None:
        return "+", name, size_text(size.after or 0)
    if size.after is None:
        return "-", name, size_text(size.before)
    return "~", name, _change_of_size(size.before, size.after)


def _change_of_size(before: int, after: int) -> str:
    if before == after:
        return f"{size_text(after)}, as before"
    return f"{size_text(before)} → {size_text(after)}"


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield f"  {'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))}".rstrip()


def _field(name: str, value: str) -> str:
    return f"{name:<{_LABEL}}{value}"
