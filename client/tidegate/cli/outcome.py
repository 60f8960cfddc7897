"""How a command ends: the only place where errors become exit codes, for `tidegate` and `tidegate-registry` alike.

Source: docs/spec/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from tidegate.errors import InvalidInput, TidegateError, Unreachable

if TYPE_CHECKING:
    from tidegate.cli.output import Output

EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_WAITING, EXIT_INTERRUPTED = (
    0,
    1,
    2,
    3,
    4,
    128 + signal.SIGINT,
)

_EXITS: tuple[tuple[type[TidegateError], int], ...] = (
    (InvalidInput, EXIT_USAGE),
    (Unreachable, EXIT_UNREACHABLE),
    (TidegateError, EXIT_REFUSED),
)


class Misused(Exception):
    """The arguments are not what `parser` takes."""

    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(message)
        self.parser, self.message = parser, message


class Parser(argparse.ArgumentParser):
    """A parser that raises Misused, where argparse would write and exit; so do those of its verbs."""

    def error(self, message: str) -> NoReturn:
        """See the class."""
        raise Misused(self, message)


def run_to_exit_code(run: Callable[[], int], out: Output) -> int:
    """Run a command and give the exit code: its own, or that of its error, which is told.

    0 done, 1 refused, 2 usage, 3 unreachable, 4 waiting, 130 interrupted. With TIDEGATE_DEBUG=1 a defect is raised.
    """
    try:
        return run()
    except TidegateError as error:
        out.error(error)
        return next(code for kind, code in _EXITS if isinstance(error, kind))
    except KeyboardInterrupt:
        out.say("interrupted; nothing was left half-done")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of stdout went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except Exception as error:
        if unusable := _unusable(error):
            out.error(unusable)
            return EXIT_USAGE
        if os.environ.get("TIDEGATE_DEBUG") == "1":
            raise
        out.error(_defect(error))
        return EXIT_REFUSED


def tell_misuse(misused: Misused, out: Output) -> int:
    """Say what is wrong with the arguments, and give the exit code."""
    if out.as_json:
        out.json({"error": {"code": "usage", "message": misused.message}})
    misused.parser.print_usage(sys.stderr)
    sys.stderr.write(f"error: {misused.message}\n\nhint: run `{misused.parser.prog} --help`\n")
    return EXIT_USAGE


def _unusable(error: Exception) -> InvalidInput | None:
    """Tell the file that the system would not read or write; None for any other failure, such as a connection's."""
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return None
    what = error.filename if isinstance(error.filename, str | bytes) else "a file"
    return InvalidInput(
        f"{os.fsdecode(what)}: cannot be read or written: {error.strerror or error}", code="file-not-usable"
    )


def _defect(error: Exception) -> TidegateError:
    """Say that we failed, not the user. Nothing counts as success, so nothing was accepted."""
    return TidegateError(
        "tidegate failed for a reason nobody foresaw",
        found=f"{type(error).__name__}: {error}"[:400],
        hint="please report it, with what TIDEGATE_DEBUG=1 shows",
    )
