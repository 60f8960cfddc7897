"""Data goes to stdout, words go to stderr; colour only helps, it never tells anything alone."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from tidegate.errors import TidegateError


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f]")  # all but tab and newline
# C1 controls, soft hyphens, direction marks, invisible and tag characters: terminals obey some, people see none
_UNSEEN = re.compile("[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")


class Progress(Protocol):
    """Told how many more bytes are done; may be called from several threads."""

    def advance(self, count: int) -> None:
        """Count `count` more bytes as done."""


class _Silent:
    def advance(self, count: int) -> None:
        """Say nothing: nobody is watching."""


class Output:
    """Where a command writes. `as_json`: the caller wants one JSON document on stdout."""

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr

    @property
    def interactive(self) -> bool:
        """Whether a person is watching stderr."""
        return self._stderr.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def colour(self) -> bool:
        """Whether colour may be used on stderr. Source: no-color.org."""
        return self.interactive and "NO_COLOR" not in os.environ

    def data(self, text: str) -> None:
        """Write one line of the command's result."""
        self._stdout.write(f"{text}\n")
        self._stdout.flush()

    def json(self, value: object) -> None:
        """Write the command's result as one JSON document."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        self.data(_UNSEEN.sub(_escaped, text))

    def exact(self, raw: bytes) -> None:
        """Write the command's result byte for byte, and a newline; on a terminal without what it would obey or hide."""
        if self._stdout.isatty():
            self.data(_UNSEEN.sub(_escaped, raw.decode("utf-8", "replace")))
            return
        self._stdout.flush()
        self._stdout.buffer.write(raw + b"\n")
        self._stdout.buffer.flush()

    def pages(self, lines: Sequence[str], *, paged: bool = True) -> None:
        """Write a long result: on a terminal, unless `paged` is False, through the user's pager."""
        from tidegate.cli.pager import page

        text = "\n".join(lines)
        if not (paged and self._stdout.isatty() and os.environ.get("TERM") != "dumb" and page(f"{text}\n")):
            self.data(text)

    def say(self, text: str = "") -> None:
        """Tell the person something that is not the result."""
        if not self.quiet:
            self._stderr.write(f"{text}\n")
            self._stderr.flush()

    def paint(self, text: str, *codes: int) -> str:
        """Wrap `text` in SGR codes (1 bold, 2 dim, 31 red, 32 green, 33 yellow) when colour may be used."""
        return _painted(text, codes) if self.colour else text

    def paint_data(self, text: str, *codes: int) -> str:
        """As `paint`, for a line of the result: whether colour may be used is a question of stdout then."""
        shown = self._stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
        return _painted(text, codes) if shown and text else text

    def step(self, verb: str, what: str, *codes: int) -> None:
        """Tell about a finished step: a right-aligned verb and what it was done to. `codes`: of the verb."""
        self.say(f"{self.paint(f'{verb:>12}', *(codes or (1, 32)))}  {what}")

    def error(self, error: TidegateError) -> None:
        """Render an error: what happened, every reason with found and expected, and each hint where it belongs."""
        red = self.paint("error:", 1, 31)
        if self.as_json:
            reasons = [reason.as_json() for reason in error.reasons]
            self.json({"error": {"code": error.code, "message": error.message, "reasons": reasons}})
        first = error.reasons[0]
        single = len(error.reasons) == 1 and first.message == error.message
        code = " ".join(part for part in (first.code, first.step) if part) if single else error.code
        self._stderr.write(f"{red} {_seen(error.message)} {self.paint(f'[{code}]', 2)}\n")
        alone = len(error.reasons) == 1  # else a hint at the end would be far from what it mends
        for reason in error.reasons:
            for line in map(_seen, reason.lines()[1 if single else 0 :]):
                if not (alone and line.startswith("    hint:")):
                    self._stderr.write(f"{line if single else '  ' + line}\n")
        if alone and first.hint:
            self._stderr.write(f"\n{self.paint('hint:', 1, 36)} {_seen(first.hint)}\n")
        self._stderr.flush()

    @contextmanager
    def progress(
        self, total: int, label: str, *, then: str | None = None, unit: str | None = None
    ) -> Iterator[Progress]:
        """Show bytes, or so many `unit`, done of `total` while the block runs, on a terminal only.

        `then`: the label once all are done.
        """
        if not self.interactive or self.quiet:
            yield _Silent()
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bar

        counted: tuple[ProgressColumn, ...] = (DownloadColumn(binary_units=True), TransferSpeedColumn())
        if unit is not None:
            counted = (TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),)
        columns = (TextColumn("{task.description:>12}  "), BarColumn(), *counted)
        with Bar(*columns, TimeRemainingColumn(), console=Console(file=self._stderr), transient=True) as bar:
            task = bar.add_task(label, total=total)

            class _Bar:
                def advance(self, count: int) -> None:
                    bar.advance(task, count)
                    if then is not None and bar.finished:
                        bar.update(task, description=then)

            yield _Bar()


def _seen(text: str) -> str:
    """Leave out what a terminal obeys or hides: errors quote the texts of strangers."""
    return _UNSEEN.sub("", _CONTROLS.sub("", text))


def _painted(text: str, codes: Sequence[int]) -> str:
    return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if codes else text


def _escaped(found: re.Match[str]) -> str:
    """Write a character as JSON strings may: all there are, are inside of strings."""
    return "\\u007f" if found[0] == "\x7f" else json.dumps(found[0])[1:-1]
